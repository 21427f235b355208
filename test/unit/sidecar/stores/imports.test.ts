// What a pod pays for the driver that its Component names, and that it pays for no other: measured in the bundle that the
// image has, in fresh processes. Prints the table. Times are told and not judged, since a busy machine is no fault of a
// driver; in their place stands what they come from, the size of the program that is loaded.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { OPTIONAL_PACKAGES } from "#sidecar/stores/packages.ts";
import { STORE_TYPES } from "#sidecar/stores/registry.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const CHILD = fileURLToPath(new URL("import-child.ts", import.meta.url));
const BUILD_WITHIN_MS = 240_000;
const RUN_WITHIN_MS = 120_000;

/** Of private memory. Issue "Every store": importing one driver costs under 25 MB. */
const BYTES_MAX = 25e6;
/** Processes for each driver; the middle one counts. */
const RUNS = 3;

/** Client libraries of all drivers. */
const CLIENTS = [...Object.keys(OPTIONAL_PACKAGES), "@grpc/grpc-js", "ioredis", "mysql2", "pg"];

interface Share {
  /** Client libraries that are loaded with the driver. */
  readonly clients: readonly string[];
  /** Kilobytes of JavaScript, ours and the libraries'; a fifth more than when it was set. */
  readonly scriptKbMax: number;
}

const OWN_CODE: Share = { clients: [], scriptKbMax: 110 };
const PG: Share = { clients: ["pg"], scriptKbMax: 350 };
const GRPC: Share = { clients: ["@grpc/grpc-js"], scriptKbMax: 820 };

/** A type that is not named is our own code alone. */
const SHARES: Readonly<Record<string, Share>> = {
  "state.aws.dynamodb": { clients: ["@aws-sdk/client-dynamodb"], scriptKbMax: 1370 },
  "state.cassandra": { clients: ["cassandra-driver"], scriptKbMax: 1110 },
  "state.cockroachdb": PG,
  "state.etcd": GRPC,
  "state.gcp.firestore": GRPC,
  "state.gcp.spanner": GRPC,
  "state.jetstream": { clients: ["@nats-io/transport-node"], scriptKbMax: 380 },
  // mongodb names the other in a `require` of one sign-in: where both are bundled its code comes along, and does not run.
  "state.mongodb": { clients: ["@aws-sdk/credential-providers", "mongodb"], scriptKbMax: 3180 },
  "state.mysql": { clients: ["mysql2"], scriptKbMax: 1710 },
  "state.postgresql": PG,
  "state.redis": { clients: ["ioredis"], scriptKbMax: 660 },
  "state.sqlserver": { clients: ["tedious"], scriptKbMax: 2020 },
  "state.yugabytedb": PG,
};

/** What a process says of itself. */
interface Run {
  readonly loaded: string;
  readonly ms: number;
  readonly cpuMs: number;
  /** Of private memory. */
  readonly bytes: number;
  /** URLs of the bundle's files that were loaded. */
  readonly files: readonly string[];
}

interface Cost extends Omit<Run, "files"> {
  readonly scriptKb: number;
  readonly modules: number;
  readonly packages: readonly string[];
}

async function measured(url: string): Promise<Cost> {
  const runs: Run[] = [];
  for (let each = 0; each < RUNS; each++)
    runs.push(JSON.parse((await run(process.execPath, [CHILD, url], { timeout: RUN_WITHIN_MS })).stdout));
  const [{ loaded, files }] = runs as [Run];
  const sources = new Set(files.flatMap(sourcesOf));
  const packages = [...sources].map((path) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  return {
    loaded,
    ms: median(runs.map(({ ms }) => ms)),
    cpuMs: median(runs.map(({ cpuMs }) => cpuMs)),
    bytes: median(runs.map(({ bytes }) => bytes)),
    scriptKb: files.reduce((sum, url) => sum + readFileSync(new URL(url)).length, 0) / 1000,
    modules: sources.size,
    packages: [...new Set(packages.filter((name) => name !== undefined))].sort(),
  };
}

/** The modules that a file of the bundle was made of, as its map names them. */
function sourcesOf(url: string): readonly string[] {
  const { sources }: { sources: readonly string[] } = JSON.parse(readFileSync(new URL(`${url}.map`), "utf8"));
  return sources;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

/** Where the bundle's registry finds the driver of each type. */
async function chunksOf(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".js"));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
  const found = texts.flatMap((text) => [...text.matchAll(/"(state\.[a-z.-]+)": \(\) => import\("\.\/([^"]+)"\)/g)]);
  return new Map(found.map(([, type = "", name = ""]) => [type, pathToFileURL(join(folder, name)).href]));
}

const hasSmaps = existsSync("/proc/self/smaps_rollup");

(hasSmaps ? describe : describe.skip)(
  `the import of a driver${hasSmaps ? "" : " (not run: only Linux tells)"}`,
  function (this: Mocha.Suite) {
    this.timeout(BUILD_WITHIN_MS);
    const costs = new Map<string, Cost>();
    let folder: string;
    let chunks: ReadonlyMap<string, string>;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "pannier-imports-"));
      await run(process.execPath, ["build.ts", "--whole", folder], { cwd: ROOT });
      chunks = await chunksOf(folder);
    });

    for (const type of STORE_TYPES) {
      const { clients, scriptKbMax } = SHARES[type] ?? OWN_CODE;
      const loads = clients.length === 0 ? "no client" : `no client but ${clients.join(", ")}`;
      it(`loads ${loads} for ${type}, at most ${scriptKbMax} kB of code, and takes under ${BYTES_MAX / 1e6} MB`, async () => {
        const cost = await measured(chunks.get(type) ?? "");
        costs.set(type, cost);
        assert.equal(cost.loaded, type);
        const loaded = cost.packages.filter((name) => CLIENTS.includes(name));
        assert.deepEqual(loaded, clients);
        assert.ok(cost.scriptKb <= scriptKbMax, `${type} loads ${cost.scriptKb} kB of code`);
        assert.ok(cost.bytes < BYTES_MAX, `${type} takes ${cost.bytes} bytes`);
      });
    }

    after(async () => {
      await rm(folder, { recursive: true, force: true });
      const rows = [...costs].map(([type, { ms, cpuMs, bytes, scriptKb, modules }]) =>
        [
          type.padEnd(26),
          `${ms.toFixed(0)} ms`.padStart(7),
          `${cpuMs.toFixed(0)} ms`.padStart(7),
          `${(bytes / 1e6).toFixed(1)} MB`.padStart(8),
          `${scriptKb.toFixed(0)} kB`.padStart(8),
          modules,
        ].join(" "),
      );
      const head = `      driver in the bundle, time, CPU, private memory (middle of ${RUNS} processes), code, modules`;
      process.stdout.write(`${[head, ...rows].join("\n      ")}\n`);
    });
  },
);
