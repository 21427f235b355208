// `npm run bench [-- --rounds N --seconds N]`: the built sidecar (dist/) against an application's own ioredis, alternating on
// this machine, medians over rounds. Needs `npm run build` and redis-server. Prints a table; asserts nothing.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { freePort } from "#test/servers/free-port.ts";
import { startRedis } from "#test/servers/redis.ts";
import type { DirectOrder } from "./direct-child.ts";
import { type LoadResult, load } from "./load.ts";
import { cpuUs, median, privateMb } from "./measured.ts";

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "4" } },
});
const ROUNDS = Number(flags.rounds);
const DURATION_MS = Number(flags.seconds) * 1000;
const CONNECTIONS = [1, 32];
const VALUE = JSON.stringify("x".repeat(1022));
const SIDECAR = fileURLToPath(new URL("../dist/pannier.js", import.meta.url));

interface Sample extends LoadResult {
  readonly cpuUs: number;
}

const redis = await startRedis();
const folder = mkdtempSync(join(tmpdir(), "pannier-bench-"));
const started: ChildProcess[] = [];
try {
  const { port, child: sidecar, readyMs } = await startSidecar();
  const restMb = privateMb(pidOf(sidecar));
  const direct = await startDirect();
  const store = `/v1.0/state/statestore`;
  const body = `[{"key":"bench","value":${VALUE}}]`;
  const requests = {
    get: Buffer.from(`GET ${store}/bench HTTP/1.1\r\nHost: x\r\n\r\n`),
    set: Buffer.from(`POST ${store} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
  };
  await load({ port, connections: 1, durationMs: 500, request: requests.set, expected: "HTTP/1.1 204" });
  print(
    `${cpus().length} cores ${cpus()[0]?.model}, Node ${process.version}, ${ROUNDS} rounds of ${DURATION_MS / 1000} s, values of 1 KB`,
  );
  print(`ready ${Math.round(readyMs)} ms after start, ${restMb} MB private at rest`);
  print("| operation | connections | who | requests/s | CPU us/request | median us |\n|---|---|---|---|---|---|");
  for (const connections of CONNECTIONS) {
    for (const operation of ["get", "set"] as const) {
      const expected = operation === "get" ? "HTTP/1.1 200" : "HTTP/1.1 204";
      const samples: Record<"sidecar" | "direct", Sample[]> = { sidecar: [], direct: [] };
      for (let round = 0; round < ROUNDS; round++) {
        const order: DirectOrder = {
          operation,
          lanes: connections,
          durationMs: DURATION_MS,
          key: "direct",
          value: VALUE,
        };
        samples.direct.push(await measured(direct, () => runDirect(direct, order)));
        const options = { port, connections, durationMs: DURATION_MS, request: requests[operation], expected };
        samples.sidecar.push(await measured(sidecar, () => load(options)));
      }
      for (const who of ["direct", "sidecar"] as const) print(row(operation, connections, who, samples[who]));
    }
  }
  print(`${privateMb(pidOf(sidecar))} MB private after the load`);
} finally {
  for (const child of started) {
    const ended = once(child, "exit");
    child.kill();
    await ended;
  }
  await redis.stop();
  rmSync(folder, { recursive: true });
}

function row(operation: string, connections: number, who: string, samples: readonly Sample[]): string {
  const perSecond = median(samples.map(({ requests, seconds }) => requests / seconds));
  const cpu = median(samples.map((sample) => sample.cpuUs / sample.requests));
  const latency = median(samples.map(({ medianUs }) => medianUs));
  return `| ${operation} | ${connections} | ${who} | ${Math.round(perSecond)} | ${cpu.toFixed(1)} | ${Math.round(latency)} |`;
}

async function measured(child: ChildProcess, task: () => Promise<LoadResult>): Promise<Sample> {
  const before = cpuUs(pidOf(child));
  const result = await task();
  return { ...result, cpuUs: cpuUs(pidOf(child)) - before };
}

async function startSidecar(): Promise<{ port: number; child: ChildProcess; readyMs: number }> {
  const port = await freePort();
  const metricsPort = await freePort();
  const item = `    - name: redisHost\n      value: "127.0.0.1:${redis.port}"\n`;
  const manifest = `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: statestore\nspec:\n  type: state.redis\n  version: v1\n  metadata:\n${item}`;
  writeFileSync(join(folder, "statestore.yaml"), manifest);
  const ports = ["--dapr-http-port", String(port), "--metrics-port", String(metricsPort)];
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [SIDECAR, "sidecar", "--app-id", "bench", "--resources-path", folder, ...ports],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  started.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => (chunk.includes("dapr initialized") ? resolve() : undefined));
    child.once("exit", (code) => reject(new Error(`the sidecar ended with ${code}`)));
  });
  return { port, child, readyMs: performance.now() - start };
}

async function startDirect(): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL("./direct-child.ts", import.meta.url)), [String(redis.port)]);
  started.push(child);
  await once(child, "message");
  return child;
}

async function runDirect(child: ChildProcess, order: DirectOrder): Promise<LoadResult> {
  child.send(order);
  const [result] = await once(child, "message");
  return result;
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("the process did not start");
  return child.pid;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
