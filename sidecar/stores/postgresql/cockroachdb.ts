// state.cockroachdb: CockroachDB in Dapr's layouts, v1 with an ETag column of its own, v2 that of state.postgresql
// (dapr-state-stores.md 4 and 5). It speaks PostgreSQL's protocol.
import type { Fault } from "#kit/fault.ts";
import { type StoreDriver, storeDriver, versionedDriver } from "../store.ts";
import { cockroachLayout, onCockroach } from "./cockroachdb-layout.ts";
import { type V1Settings, type V2Settings, v1Fields, v2Fields } from "./fields.ts";
import { v2Layout } from "./layout.ts";
import { checkServer, openStore } from "./opening.ts";
import { COCKROACHDB } from "./product.ts";
import { signInPackages } from "./sign-in-fields.ts";
import { v2Place } from "./v2-place.ts";

const TYPE = "state.cockroachdb";

const v1: StoreDriver = storeDriver<V1Settings>({
  type: TYPE,
  versions: ["v1"],
  defaultVersion: "v1",
  fields: v1Fields,
  check: (settings) => [
    ...checkServer(settings, { stateTable: settings.tableName, field: "tableName" }),
    ...tokenFaults(settings),
  ],
  open: (settings, context) =>
    openStore(settings, context, {
      product: COCKROACHDB,
      layout: cockroachLayout(settings),
      stateTable: settings.tableName,
      levelKey: null,
      cleanupKey: "last-cleanup",
    }),
});

const v2: StoreDriver = storeDriver<V2Settings>({
  type: TYPE,
  versions: ["v2"],
  defaultVersion: "v2",
  fields: v2Fields,
  check: (settings) => checkServer(settings, { stateTable: `${settings.tablePrefix}state`, field: "tablePrefix" }),
  packages: signInPackages,
  open: (settings, context) => openStore(settings, context, v2Place(settings, COCKROACHDB, onCockroach(v2Layout))),
});

export const driver: StoreDriver = versionedDriver(v1, v2);

/** Dapr passes over the switches in this version. */
function tokenFaults(settings: Readonly<V1Settings>): readonly Fault[] {
  return (["useAzureAD", "useAWSIAM"] as const)
    .filter((field) => settings[field])
    .map((field) => ({
      severity: "error",
      field,
      got: "true",
      want: "false: state.cockroachdb v1 signs in by a password or a client's certificate",
      hint: "see docs/stores/cockroachdb.md",
    }));
}
