// What large bodies leave behind in the process (design: within 50 MB of its start after 200 saves of 3 MB).
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "#test/servers/free-port.ts";
import { component } from "./sidecar.ts";

const MAIN = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const GROWTH_MB_MAX = 50;

const CASES = {
  "the in-memory store": { type: "state.in-memory", metadata: {}, chunked: false },
  "the in-memory store, in chunks": { type: "state.in-memory", metadata: {}, chunked: true },
  SQLite: { type: "state.sqlite", metadata: { connectionString: "state.db" }, chunked: false },
  "SQLite, in chunks": { type: "state.sqlite", metadata: { connectionString: "state.db" }, chunked: true },
} as const;

describe("memory after 200 saves of 3 MB", () => {
  for (const [title, { type, metadata, chunked }] of Object.entries(CASES)) {
    it(`is back near its start, on ${title}`, async function () {
      this.timeout(400_000);
      if (process.platform !== "linux") throw new Error("this test reads /proc and runs on Linux only");
      await overSidecar(component("statestore", type, metadata), async (pid, port) => {
        const body = JSON.stringify([{ key: "big", value: "x".repeat(3 * 1024 * 1024) }]);
        const startMb = await privateMb(pid);
        for (let i = 0; i < 200; i++) assert.equal(await post(port, body, chunked), 204);
        const grownMb = (await privateMb(pid)) - startMb;
        assert.ok(grownMb < GROWTH_MB_MAX, `grew by ${grownMb} MB from ${startMb} MB`);
      });
    });
  }
});

async function overSidecar(manifest: string, test: (pid: number, port: number) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-memory-"));
  await writeFile(join(folder, "a.yaml"), manifest);
  const port = await freePort();
  const ports = ["--dapr-http-port", String(port), "--dapr-grpc-port", String(await freePort())];
  const flags = ["--app-id", "memory", ...ports, "--enable-metrics=false"];
  const args = [MAIN, "sidecar", "--dapr-listen-addresses", "127.0.0.1", "--resources-path", folder, ...flags];
  const child = spawn(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (chunk: Buffer) => (chunk.includes("dapr initialized") ? resolve() : undefined));
      child.once("exit", (code) => reject(new Error(`the sidecar ended with ${code}`)));
    });
    await test(child.pid ?? 0, port);
  } finally {
    child.kill();
    await ended;
    await rm(folder, { recursive: true });
  }
}

function post(port: number, body: string, chunked: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = chunked ? { "transfer-encoding": "chunked" } : { "content-length": Buffer.byteLength(body) };
    const path = "/v1.0/state/statestore";
    const outgoing = request({ host: "127.0.0.1", port, method: "POST", path, headers }, (incoming) => {
      incoming.resume();
      incoming.on("end", () => resolve(incoming.statusCode ?? 0));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** Anonymous memory of a process: what no file backs and no other process shares. */
async function privateMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1024);
}
