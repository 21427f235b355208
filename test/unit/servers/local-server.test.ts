// What the servers of tests have in common, with a program of Node's that only listens.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ChildServer } from "#test/servers/child-server.ts";
import { freePort } from "#test/servers/free-port.ts";
import { type LocalServer, localServer, type Planned, startOnePlanned } from "#test/servers/local-server.ts";

// In two words, for the program's text is in what it says of an error.
const LISTENS =
  'require("node:net").createServer().listen(+process.argv[1], "127.0.0.1", () => console.log("it", "listens"))';

async function planned(port: number, folder: string): Promise<Planned<LocalServer>> {
  const child = new ChildServer({
    command: process.execPath,
    args: ["-e", LISTENS, String(port)],
    cwd: folder,
    readyText: "it listens",
  });
  return { child, server: localServer({ child, port, folder }) };
}

const folderOf = (): Promise<string> => mkdtemp(join(tmpdir(), "pannier-local-server-"));

describe("a server of a test's own", () => {
  it("is planned anew when somebody else is on its port, and leaves no folder of the first plan", async () => {
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
    const folders: string[] = [];
    const server = await startOnePlanned(async () => {
      const folder = await folderOf();
      folders.push(folder);
      return planned(folders.length === 1 ? port : await freePort(), folder);
    });
    try {
      assert.notEqual(server.port, port);
      assert.deepEqual(
        folders.map((folder) => existsSync(folder)),
        [false, true],
      );
    } finally {
      await server.stop();
      await new Promise((resolve) => other.close(resolve));
    }
    assert.equal(folders.filter((folder) => existsSync(folder)).length, 0);
  });

  it("is not planned anew when it fails for another reason", async () => {
    let plans = 0;
    const started = startOnePlanned(async () => {
      plans++;
      const { child, server } = await planned(await freePort(), await folderOf());
      return { child, server: { ...server, restart: () => Promise.reject(new Error("it is broken")) } };
    });
    await assert.rejects(started, { message: "it is broken" });
    assert.equal(plans, 1);
  });

  it("is ready again on its port after it was killed, once it answers", async () => {
    const folder = await folderOf();
    const { child, server } = await planned(await freePort(), folder);
    let asked = 0;
    const answering = localServer({ child, port: server.port, folder, answers: async () => void asked++ });
    try {
      await answering.restart();
      const first = child.pid;
      await answering.kill9();
      await answering.restart();
      assert.notEqual(child.pid, first);
      assert.equal(asked, 2);
    } finally {
      await answering.stop();
    }
  });
});
