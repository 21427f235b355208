// `npm run bench [-- --rounds N --seconds N]`: the built sidecar (dist/) against an application's own ioredis and, when DAPRD
// names a daprd binary, against that; alternating on this machine, medians over rounds. Needs `npm run build` and
// redis-server. Prints tables and writes them to bench/results/; asserts nothing.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startRedis } from "#test/servers/redis.ts";
import { FILL, GRPC, HTTP, OPERATIONS, VALUE } from "./cases.ts";
import type { Operation } from "./direct-child.ts";
import { grpcLoad } from "./grpc-load.ts";
import { httpLoad } from "./http-load.ts";
import { cpuUs, type LoadResult, median, privateMb } from "./measured.ts";
import { Sides, type StateServer } from "./sides.ts";

const { values: flags } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } },
});
const ROUNDS = Number(flags.rounds);
const DURATION_MS = Number(flags.seconds) * 1000;
const CONNECTIONS = [1, 32];
const { DAPRD } = process.env;

/** One way to make an operation, by one process. */
interface Contender {
  readonly name: string;
  readonly pid: number;
  run(operation: Operation, connections: number): Promise<LoadResult>;
}

interface Sample extends LoadResult {
  readonly cpuUs: number;
}

const lines: string[] = [];
const redis = await startRedis();
const sides = new Sides(redis.port);
try {
  const servers = [await sides.sidecar(), ...(DAPRD === undefined ? [] : [await sides.daprd(DAPRD)])];
  const restMb = servers.map(({ pid }) => privateMb(pid));
  for (const { httpPort } of servers) await httpLoad({ port: httpPort, connections: 1, durationMs: 200, ...FILL });
  heading();
  await measureAll([await direct(), ...servers.flatMap(contenders)]);
  print("\n| process | ready ms | private MB at rest | private MB after the load |\n|---|---|---|---|");
  for (const [index, { name, pid, readyMs }] of servers.entries()) {
    print(`| ${name} | ${Math.round(readyMs)} | ${restMb[index]} | ${privateMb(pid)} |`);
  }
  writeFileSync(fileURLToPath(new URL(`./results/${today()}.md`, import.meta.url)), `${lines.join("\n")}\n`);
} finally {
  await sides.end();
  await redis.stop();
}

async function direct(): Promise<Contender> {
  const child = await sides.direct();
  const run = (operation: Operation, lanes: number): Promise<LoadResult> =>
    child.run({ operation, lanes, durationMs: DURATION_MS, value: VALUE });
  return { name: "direct ioredis", pid: child.pid, run };
}

function contenders({ name, pid, httpPort, grpcPort }: StateServer): readonly Contender[] {
  const http = (operation: Operation, connections: number): Promise<LoadResult> =>
    httpLoad({ port: httpPort, connections, durationMs: DURATION_MS, ...HTTP[operation] });
  const grpc = (operation: Operation, connections: number): Promise<LoadResult> =>
    grpcLoad({ port: grpcPort, connections, durationMs: DURATION_MS, ...GRPC[operation] });
  return [
    { name: `${name}, HTTP`, pid, run: http },
    { name: `${name}, gRPC`, pid, run: grpc },
  ];
}

async function measureAll(all: readonly Contender[]): Promise<void> {
  print(
    "| operation | connections | who | requests/s | CPU µs/request | p50 µs | p99 µs |\n|---|---|---|---|---|---|---|",
  );
  for (const connections of CONNECTIONS) {
    for (const operation of OPERATIONS) {
      const samples = all.map((): Sample[] => []);
      for (let round = 0; round < ROUNDS; round++) {
        for (const [index, contender] of all.entries()) {
          samples[index]?.push(await measured(contender, operation, connections));
        }
      }
      for (const [index, { name }] of all.entries()) print(row(operation, connections, name, samples[index] ?? []));
    }
  }
}

async function measured(contender: Contender, operation: Operation, connections: number): Promise<Sample> {
  const before = cpuUs(contender.pid);
  const result = await contender.run(operation, connections);
  return { ...result, cpuUs: cpuUs(contender.pid) - before };
}

function row(operation: string, connections: number, who: string, samples: readonly Sample[]): string {
  const middle = (of: (sample: Sample) => number): number => median(samples.map(of));
  const perSecond = Math.round(middle(({ requests, seconds }) => requests / seconds));
  const cpu = middle((sample) => sample.cpuUs / sample.requests).toFixed(1);
  const p50 = Math.round(middle(({ p50Us }) => p50Us));
  const p99 = Math.round(middle(({ p99Us }) => p99Us));
  return `| ${operation} | ${connections} | ${who} | ${perSecond} | ${cpu} | ${p50} | ${p99} |`;
}

function heading(): void {
  const revision = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  const machine = `${cpus().length} cores ${cpus()[0]?.model}, Node ${process.version}`;
  print(`# ${today()}, revision ${revision}\n`);
  print(`${machine}; ${ROUNDS} rounds of ${DURATION_MS / 1000} s, values of 1 KB, Redis on the same machine.`);
  print(DAPRD === undefined ? "No daprd was named.\n" : "Against the daprd that DAPRD names.\n");
}

function today(): string {
  return new Date().toISOString().slice(0, 10);
}

function print(line: string): void {
  lines.push(line);
  process.stdout.write(`${line}\n`);
}
