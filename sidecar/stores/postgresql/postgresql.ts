// state.postgresql: PostgreSQL 13 or later in either of Dapr's layouts (dapr-state-stores.md 3 and 4).
import { type StoreDriver, storeDriver, versionedDriver } from "../store.ts";
import { type V1Settings, type V2Settings, v1Fields, v2Fields } from "./fields.ts";
import { v1Layout, v2Layout } from "./layout.ts";
import { checkServer, openStore } from "./opening.ts";
import { POSTGRESQL } from "./product.ts";
import { signInPackages } from "./sign-in-fields.ts";
import { v2Place } from "./v2-place.ts";

const v1: StoreDriver = storeDriver<V1Settings>({
  type: "state.postgresql",
  versions: ["v1"],
  defaultVersion: "v1",
  fields: v1Fields,
  check: (settings) => checkServer(settings, { stateTable: settings.tableName, field: "tableName" }),
  packages: signInPackages,
  open: (settings, context) =>
    openStore(settings, context, {
      product: POSTGRESQL,
      layout: v1Layout(settings),
      stateTable: settings.tableName,
      levelKey: "migrations",
      cleanupKey: "last-cleanup",
    }),
});

const v2: StoreDriver = storeDriver<V2Settings>({
  type: "state.postgresql",
  versions: ["v2"],
  defaultVersion: "v2",
  fields: v2Fields,
  check: (settings) => checkServer(settings, { stateTable: `${settings.tablePrefix}state`, field: "tablePrefix" }),
  packages: signInPackages,
  open: (settings, context) => openStore(settings, context, v2Place(settings, POSTGRESQL, v2Layout)),
});

export const driver: StoreDriver = versionedDriver(v1, v2);
