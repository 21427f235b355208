// What large bodies leave behind in the process (design: within 50 MB of its start after 200 saves of 3 MB).
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "#test/servers/free-port.ts";
import { component } from "./sidecar.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const GROWTH_MB_MAX = 50;

describe("memory", () => {
  let folder: string;
  let child: ChildProcess;
  let store: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-memory-"));
    await writeFile(join(folder, "a.yaml"), component("statestore", "state.in-memory"));
    const port = await freePort();
    const flags = [
      "--app-id",
      "memory",
      "--dapr-http-port",
      String(port),
      "--enable-metrics=false",
      "--resources-path",
      folder,
    ];
    child = spawn(process.execPath, [MAIN, "sidecar", "--dapr-listen-addresses", "127.0.0.1", ...flags], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on("data", (chunk: Buffer) => (chunk.includes("dapr initialized") ? resolve() : undefined));
      child.on("exit", (code) => reject(new Error(`the sidecar ended with ${code}`)));
    });
    store = `http://127.0.0.1:${port}/v1.0/state/statestore`;
  });

  after(async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill();
    await ended;
    await rm(folder, { recursive: true });
  });

  it("comes back to near its start after 200 saves of 3 MB", async function () {
    this.timeout(60_000);
    if (process.platform !== "linux") throw new Error("this test reads /proc and runs on Linux only");
    const body = JSON.stringify([{ key: "big", value: "x".repeat(3 * 1024 * 1024) }]);
    const save = async (): Promise<void> => {
      const answer = await fetch(store, { method: "POST", body });
      assert.equal(answer.status, 204);
    };
    const startMb = await privateMb(child.pid);
    for (let i = 0; i < 200; i++) await save();
    const grownMb = (await privateMb(child.pid)) - startMb;
    assert.ok(grownMb < GROWTH_MB_MAX, `grew by ${grownMb} MB from ${startMb} MB`);
  });
});

/** Anonymous memory of a process: what no file backs and no other process shares. */
async function privateMb(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
