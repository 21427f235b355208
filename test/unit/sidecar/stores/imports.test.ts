// What a pod pays for the driver that its Component names, and that it pays for no other. Prints the table; the time is
// told and not judged, since a busy machine is no fault of a driver.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { OPTIONAL_PACKAGES } from "#sidecar/stores/packages.ts";
import { STORE_TYPES } from "#sidecar/stores/registry.ts";

const run = promisify(execFile);
const CHILD = fileURLToPath(new URL("import-child.ts", import.meta.url));

/** Issue "Every store": importing one driver costs under 25 MB. */
const BYTES_MAX = 25e6;

/** Client libraries of all drivers. */
const CLIENTS = [...Object.keys(OPTIONAL_PACKAGES), "@grpc/grpc-js", "ioredis", "mysql2", "pg"];

/** Which of them a type loads, with what they load themselves; a type that is not named loads none. */
const CLIENTS_OF: Readonly<Record<string, readonly string[]>> = {
  "state.aws.dynamodb": ["@aws-sdk/client-dynamodb"],
  "state.cassandra": ["cassandra-driver"],
  "state.cockroachdb": ["pg"],
  "state.etcd": ["@grpc/grpc-js"],
  "state.gcp.firestore": ["@grpc/grpc-js"],
  "state.gcp.spanner": ["@grpc/grpc-js"],
  "state.jetstream": ["@nats-io/transport-node"],
  "state.mongodb": ["mongodb"],
  "state.mysql": ["mysql2"],
  "state.postgresql": ["pg"],
  "state.redis": ["ioredis"],
  "state.sqlserver": ["tedious"],
  "state.yugabytedb": ["pg"],
};

interface Cost {
  readonly loaded: string | null;
  readonly ms: number;
  readonly bytes: number;
  readonly packages: readonly string[];
}

const hasSmaps = existsSync("/proc/self/smaps_rollup");

(hasSmaps ? describe : describe.skip)(`the import of a driver${hasSmaps ? "" : " (not run: only Linux tells)"}`, () => {
  const costs = new Map<string, Cost>();

  for (const type of STORE_TYPES)
    it(`loads no client of another store for ${type}, and takes under ${BYTES_MAX / 1e6} MB`, async () => {
      const { stdout } = await run(process.execPath, [CHILD, type]);
      const cost: Cost = JSON.parse(stdout);
      costs.set(type, cost);
      assert.equal(cost.loaded, type);
      const clients = cost.packages.filter((name) => CLIENTS.includes(name));
      assert.deepEqual(clients, CLIENTS_OF[type] ?? []);
      assert.ok(cost.bytes < BYTES_MAX, `${type} takes ${cost.bytes} bytes`);
    });

  after(() => {
    const rows = [...costs].map(([type, { ms, bytes, packages }]) =>
      [
        type.padEnd(26),
        `${ms.toFixed(0)} ms`.padStart(7),
        `${(bytes / 1e6).toFixed(1)} MB`.padStart(9),
        packages.length,
      ].join(" "),
    );
    process.stdout.write(`${["      driver, time, private memory, packages loaded", ...rows].join("\n      ")}\n`);
  });
});
