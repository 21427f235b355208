// The processes that are compared: the built sidecar, a daprd when one is named, and an application of its own.
import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { freePort } from "#test/servers/free-port.ts";
import type { DirectOrder } from "./direct-child.ts";
import type { LoadResult } from "./measured.ts";

const SIDECAR = fileURLToPath(new URL("../dist/pannier.js", import.meta.url));
const DIRECT = fileURLToPath(new URL("./direct-child.ts", import.meta.url));

export interface StateServer {
  readonly name: string;
  readonly pid: number;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** From the start of the process to the first answer of its health route. */
  readonly readyMs: number;
}

export class Sides {
  readonly #folder = mkdtempSync(join(tmpdir(), "pannier-bench-"));
  readonly #redisPort: number;
  readonly #started: ChildProcess[] = [];

  constructor(redisPort: number) {
    this.#redisPort = redisPort;
    const item = `    - name: redisHost\n      value: "127.0.0.1:${redisPort}"\n`;
    const manifest = `apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: statestore\nspec:\n  type: state.redis\n  version: v1\n  metadata:\n${item}`;
    writeFileSync(join(this.#folder, "statestore.yaml"), manifest);
  }

  sidecar(): Promise<StateServer> {
    return this.#serve("sidecar", process.execPath, [SIDECAR, "sidecar"]);
  }

  /** `path` of a daprd; it gets the flags that ours gets. */
  daprd(path: string): Promise<StateServer> {
    return this.#serve("daprd", path, []);
  }

  async direct(): Promise<{ readonly pid: number; run(order: DirectOrder): Promise<LoadResult> }> {
    const child = fork(DIRECT, [String(this.#redisPort)]);
    this.#started.push(child);
    await once(child, "message");
    const run = async (order: DirectOrder): Promise<LoadResult> => {
      child.send(order);
      const [result] = await once(child, "message");
      return result;
    };
    return { pid: pidOf(child), run };
  }

  async end(): Promise<void> {
    for (const child of this.#started) {
      if (child.exitCode !== null) continue;
      const ended = once(child, "exit");
      child.kill();
      await ended;
    }
    rmSync(this.#folder, { recursive: true });
  }

  async #serve(name: string, command: string, head: readonly string[]): Promise<StateServer> {
    const [httpPort, grpcPort, metricsPort, internalPort] = await Promise.all([
      freePort(),
      freePort(),
      freePort(),
      freePort(),
    ]);
    const flags = {
      "app-id": `bench-${name}`,
      "resources-path": this.#folder,
      "dapr-http-port": httpPort,
      "dapr-grpc-port": grpcPort,
      "dapr-internal-grpc-port": internalPort,
      "metrics-port": metricsPort,
      "log-level": "warn",
    };
    const list = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, String(value)]);
    const start = performance.now();
    const child = spawn(command, [...head, ...list], { stdio: ["ignore", "ignore", "inherit"] });
    this.#started.push(child);
    await healthy(child, httpPort);
    return { name, pid: pidOf(child), httpPort, grpcPort, readyMs: performance.now() - start };
  }
}

const READY_MS_MAX = 30_000;

async function healthy(child: ChildProcess, port: number): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  while (performance.now() < end) {
    if (child.exitCode !== null) throw new Error(`the process ended with ${child.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/v1.0/healthz/outbound`).catch(() => null);
    if (answer?.status === 204) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`no answer on port ${port} within ${READY_MS_MAX} ms`);
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("the process did not start");
  return child.pid;
}
