// state.postgresql: PostgreSQL 13 or later in either of Dapr's layouts (dapr-state-stores.md 3 and 4). This file opens it:
// settings into connections, tables and a store.
import { availableParallelism } from "node:os";
import { assert } from "#kit/assert.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver, versionedDriver } from "../store.ts";
import { Cleanup } from "./cleanup.ts";
import { type ServerSettings, type V1Settings, type V2Settings, v1Fields, v2Fields } from "./fields.ts";
import { type Layout, v1Layout, v2Layout } from "./layout.ts";
import { migrate } from "./migration.ts";
import { parseTableName } from "./names.ts";
import { Pool } from "./pool.ts";
import { PostgresStore } from "./postgresql-store.ts";
import { Runner } from "./runner.ts";
import { planServer } from "./server-plan.ts";
import { Session, type SessionOptions } from "./session.ts";
import { statementsFor, type Tables, tablesOf } from "./statements.ts";
import { readTlsFiles } from "./tls-files.ts";
import { BYTE_ORDER, walkStatements } from "./walk.ts";
import { WalkIndex } from "./walk-index.ts";

const v1: StoreDriver = storeDriver<V1Settings>({
  type: "state.postgresql",
  versions: ["v1"],
  defaultVersion: "v1",
  fields: v1Fields,
  check: (settings) => check(settings, settings.tableName, "tableName"),
  open: (settings, context) =>
    open(settings, context, {
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
  check: (settings) => check(settings, `${settings.tablePrefix}state`, "tablePrefix"),
  open: (settings, context) =>
    open(settings, context, {
      layout: v2Layout,
      stateTable: `${settings.tablePrefix}state`,
      levelKey: `migrations-state-v2-${settings.tablePrefix}`,
      cleanupKey: `last-cleanup-state-v2-${settings.tablePrefix}`,
    }),
});

export const driver: StoreDriver = versionedDriver(v1, v2);

/** Where the layout of a version keeps its rows. */
interface Place {
  readonly layout: Layout;
  readonly stateTable: string;
  readonly levelKey: string;
  readonly cleanupKey: string;
}

/** Making the layout may take so long; a Component's initTimeout is shorter, unless a large table is waited for. */
const MIGRATION_MS_MAX = 3_600_000;

function check(
  settings: Readonly<ServerSettings>,
  stateTable: string,
  field: string,
): ReturnType<typeof planServer>["faults"] {
  const { faults } = planServer(settings, availableParallelism());
  const names = [stateTable, settings.metadataTableName].map((name) => JSON.stringify(parseTableName(name)));
  if (names[0] !== names[1]) return faults;
  const want = `another table than ${field} names`;
  return [
    ...faults,
    { severity: "error", field: "metadataTableName", got: settings.metadataTableName, want, hint: null },
  ];
}

async function open(settings: Readonly<ServerSettings>, context: OpenContext, place: Place): Promise<Store> {
  const { plan } = planServer(settings, availableParallelism());
  const tables = tablesOf(place.stateTable, settings.metadataTableName);
  assert(plan !== null && tables !== null, "the settings were checked with the fields");
  const { clock, random, log, component } = context;
  const options: SessionOptions = {
    plan,
    files: await readTlsFiles(plan),
    applicationName: `pannier-${component}`,
    clock,
  };
  const connect = (signal: AbortSignal): Promise<Session> => Session.open(options, signal);
  const { maxConns, idleMs, lifetimeMs } = plan;
  const pool = await Pool.open({ connect, maxConns, idleMs, lifetimeMs, clock, log }, context.signal);
  try {
    const runner = new Runner({ pool, clock, random, timeoutMs: settings.timeout });
    const isByteOrder = await prepare(runner, context, place, tables);
    const { layout, cleanupKey: key } = place;
    const sql = statementsFor(layout, tables, settings.timeout);
    const walks = walkStatements(layout, tables, isByteOrder);
    const walkIndex = isByteOrder ? null : new WalkIndex({ sql: walks, tables, connect, clock, log });
    const cleanup = new Cleanup({ runner, sql, key, intervalMs: settings.cleanupInterval, clock, log });
    return new PostgresStore({ layout, sql, walks, pool, runner, cleanup, walkIndex });
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** Makes the tables; gives whether the database orders texts by their bytes. */
function prepare(
  runner: Runner,
  { clock, signal }: OpenContext,
  { layout, levelKey }: Place,
  tables: Tables,
): Promise<boolean> {
  const task = async (session: Session): Promise<boolean> => {
    await migrate(session, { layout, tables, levelKey, clock, signal });
    const { rows } = await session.run(BYTE_ORDER);
    return rows[0]?.yes === true;
  };
  return runner.run({ effect: "write", signal, timeoutMs: MIGRATION_MS_MAX, task });
}
