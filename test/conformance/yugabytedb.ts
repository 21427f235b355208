// The subjects of state.yugabytedb: PostgreSQL with serializable transactions in its place, and YugabyteDB itself where its
// address is given.
import { driver } from "#sidecar/stores/postgresql/yugabytedb.ts";
import { byAddress, standIn } from "./cockroachdb.ts";
import { postgresqlV2 } from "./postgresql.ts";
import type { Declaration, Subject } from "./subject.ts";

const { features, traits, limits } = postgresqlV2.declares;
const declares: Declaration = {
  limits,
  features: { ...features, list: false },
  traits: { ...traits, listOrder: "none" },
};

export const yugabyte: Subject = standIn({ name: "state.yugabytedb, PostgreSQL in its place", driver, declares });
export const yugabyteByAddress: Subject = byAddress(
  { name: "state.yugabytedb, YugabyteDB itself", driver, declares },
  "PANNIER_TEST_YUGABYTEDB_URL",
);
