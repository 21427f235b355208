// The tools that tests start servers with: what they promise has to hold on a busy machine too.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { ChildServer } from "#test/servers/child-server.ts";
import { freePort } from "#test/servers/free-port.ts";
import { describeUnless } from "#test/servers/local-server.ts";

const elsewhere = process.platform === "linux" ? null : "only Linux tells what state a thread is in";

describeUnless(elsewhere, "a test's server", () => {
  it("has stopped with all its threads when pause() returns", async () => {
    const server = new ChildServer({
      command: process.execPath,
      args: ["-e", "console.log('ready'); for (;;);"],
      cwd: process.cwd(),
      readyText: "ready",
    });
    await server.start();
    try {
      for (let round = 0; round < 20; round++) {
        server.pause();
        const folder = `/proc/${server.pid}/task`;
        const states = readdirSync(folder).map(
          (id) => /\) (.) /.exec(readFileSync(`${folder}/${id}/stat`, "latin1"))?.[1],
        );
        assert.deepEqual(new Set(states), new Set(["T"]));
        server.resume();
      }
    } finally {
      await server.stop();
    }
  });
});

describe("a free port for a test", () => {
  it("is handed out once, and lies where the system takes none by itself", async () => {
    const ports = await Promise.all(Array.from({ length: 50 }, freePort));
    assert.equal(new Set(ports).size, 50);
    for (const port of ports) assert.ok(port >= 12_000 && port < 30_000, `${port}`);
  });
});
