// The subjects of state.cockroachdb, both versions: PostgreSQL with serializable transactions in its place, and CockroachDB
// itself where its address is given.
import { driver } from "#sidecar/stores/postgresql/cockroachdb.ts";
import type { StoreDriver } from "#sidecar/stores/store.ts";
import { type AddressVariable, addressMissing, makeDatabase, startStandIn } from "#test/servers/cockroachdb.ts";
import { postgresMissing } from "#test/servers/postgresql.ts";
import { postgresqlV1, postgresqlV2 } from "./postgresql.ts";
import { type Declaration, ownServer, properties, type Subject } from "./subject.ts";
import { postgresTold } from "./told.ts";

type Like = Pick<Subject, "name" | "driver" | "declares">;

/** A subject on a PostgreSQL that stands in. */
export function standIn(like: Like): Subject {
  return {
    ...like,
    server: "pause",
    skip: postgresMissing(),
    async start() {
      const postgres = await startStandIn("conformance");
      const connectionString = postgres.url("conformance");
      return ownServer(postgres, { connectionString, timeout: "5s" }, () => postgresTold(postgres));
    },
  };
}

/** A subject on the server whose address a variable has. */
export function byAddress(like: Like, variable: AddressVariable): Subject {
  return {
    ...like,
    server: "none",
    skip: addressMissing(variable),
    async start() {
      const { connectionString, database, stop } = await makeDatabase(variable);
      return { properties: properties({ connectionString, database }), server: null, stop };
    },
  };
}

function ofVersion(version: "v1" | "v2"): StoreDriver {
  const found = driver.byVersion?.[version];
  if (found === undefined) throw new Error(`state.cockroachdb has no version ${version}`);
  return found;
}

function like(version: "v1" | "v2", declares: Declaration, where: string): Like {
  return { name: `state.cockroachdb ${version}, ${where}`, driver: ofVersion(version), declares };
}

const STAND_IN = "PostgreSQL in its place";
const ITSELF = "CockroachDB itself";

export const cockroachV1: Subject = standIn(like("v1", postgresqlV1.declares, STAND_IN));
export const cockroachV2: Subject = standIn(like("v2", postgresqlV2.declares, STAND_IN));
export const cockroachV1ByAddress: Subject = byAddress(
  like("v1", postgresqlV1.declares, ITSELF),
  "PANNIER_TEST_COCKROACHDB_URL",
);
export const cockroachV2ByAddress: Subject = byAddress(
  like("v2", postgresqlV2.declares, ITSELF),
  "PANNIER_TEST_COCKROACHDB_URL",
);
