// state.sqlserver: Microsoft SQL Server and Azure SQL in Dapr's layouts, v1 and v2 (dapr-state-stores.md 8). This file opens
// it: settings into connections, tables and a store.
import { assert } from "#kit/assert.ts";
import type { Fault } from "#kit/fault.ts";
import type { NeededPackage } from "../packages.ts";
import { Cleanup } from "../sql/cleanup.ts";
import { ReplyError } from "../sql/failure.ts";
import { readCertificates } from "../sql/pem-files.ts";
import { Pool } from "../sql/pool.ts";
import { Runner } from "../sql/runner.ts";
import { overOnce } from "../sql/single-use.ts";
import { warnOfUnproved } from "../sql/unproved.ts";
import {
  type Foreseen,
  type OpenContext,
  type Store,
  type StoreDriver,
  storeDriver,
  versionedDriver,
} from "../store.ts";
import { cleanupSteps } from "./cleanup.ts";
import { DATABASE_MISSING } from "./failures.ts";
import { BULK_KEYS, BULK_KEYS_MAX, type SqlServerSettings, v1Fields, v2Fields } from "./fields.ts";
import { readIndexedProperties } from "./indexed-properties.ts";
import { COLLATION } from "./keys.ts";
import { VALUE_COLUMNS, type Version } from "./layout.ts";
import { makeDatabase, migrate, type Prepared, type Wanted } from "./migration.ts";
import { planServer, type ServerPlan } from "./server-plan.ts";
import { Session, type SessionOptions, TIME_FIELD } from "./session.ts";
import { SqlServerStore, WalkableSqlServerStore } from "./sqlserver-store.ts";
import { statementsFor, tableOf } from "./statements.ts";
import { openTokens } from "./token.ts";
import { walkStatements } from "./walk.ts";

const TYPE = "state.sqlserver";

const v1: StoreDriver = storeDriver({
  type: TYPE,
  versions: ["v1"],
  defaultVersion: "v1",
  fields: v1Fields,
  check: faultsOf,
  packages: packagesOf,
  foresee: foreseenOf,
  open: (settings, context) => open({ settings, version: "v1", bulkKeys: BULK_KEYS }, context),
});

const v2: StoreDriver = storeDriver({
  type: TYPE,
  versions: ["v2"],
  defaultVersion: "v2",
  fields: v2Fields,
  check: (settings) => [...faultsOf(settings), ...chunkFaults(settings.bulkGetChunkSize)],
  packages: (settings) => packagesOf(settings),
  foresee: (settings) => foreseenOf(settings),
  open: (settings, context) =>
    open({ settings, version: "v2", bulkKeys: bulkKeysOf(settings.bulkGetChunkSize) }, context),
});

export const driver: StoreDriver = versionedDriver(v1, v2);

function faultsOf(settings: Readonly<SqlServerSettings>): readonly Fault[] {
  const indexed = readIndexedProperties(settings.indexedProperties);
  return [...planServer(settings).faults, ...("fault" in indexed ? [indexed.fault] : [])];
}

function packagesOf({ useAzureAD }: Readonly<SqlServerSettings>): readonly NeededPackage[] {
  return useAzureAD ? [{ name: "@azure/identity", field: "useAzureAD" }] : [];
}

/** Keys of the other types are no texts (keys.ts). */
function foreseenOf({ keyType }: Readonly<SqlServerSettings>): Foreseen {
  return { lacks: [], bareKeysBy: keyType === "string" ? null : "keyType" };
}

function chunkFaults(chunk: number): readonly Fault[] {
  if (chunk <= BULK_KEYS_MAX) return [];
  const hint = `${BULK_KEYS_MAX} are taken: a request of the server's has at most 2100 parameters`;
  return [
    { severity: "warning", field: "bulkGetChunkSize", got: String(chunk), want: `${BULK_KEYS_MAX} at most`, hint },
  ];
}

function bulkKeysOf(chunk: number): number {
  return chunk > 0 ? Math.min(chunk, BULK_KEYS_MAX) : BULK_KEYS;
}

/** The server gives up to wait for a lock so long before the call's time is up, so that its answer tells what happened. */
const LOCK_EARLY_MS = 1000;
/** Making the layout may wait so long for a lock; a Component's initTimeout is shorter, unless a large table is waited for. */
const MIGRATION_LOCK_MS = 3_600_000;
/** Idle connections end within the half hour after which Azure's gateways drop them. */
const POOLING = { product: "sqlserver", timeField: TIME_FIELD, idleMsMax: 25 * 60_000 } as const;

const UNPROVED = "its statements are checked by reading and its protocol by tests; try it with data that may be lost";

interface Opening {
  readonly settings: Readonly<SqlServerSettings>;
  readonly version: Version;
  readonly bulkKeys: number;
}

async function open({ settings, version, bulkKeys }: Opening, context: OpenContext): Promise<Store> {
  const { plan } = planServer(settings);
  const indexed = readIndexedProperties(settings.indexedProperties);
  assert(plan !== null && "properties" in indexed, "the settings were checked with the fields");
  const { clock, random, log, signal } = context;
  const { timeoutMs } = plan;
  const names = { schema: settings.schemaName, state: settings.tableName, metadata: settings.metadataTableName };
  const value = VALUE_COLUMNS[version];
  const { keyType, keyLength } = settings;
  const wanted: Wanted = { version, names, keyType, keyLength, value, indexed: indexed.properties };
  const options: SessionOptions = {
    plan,
    database: plan.database,
    authority: await authorityOf(plan),
    token: plan.signIn.kind === "azure" ? await openTokens(plan.signIn.settings) : null,
    applicationName: `pannier-${context.component}`,
    lockMs: timeoutMs - Math.min(LOCK_EARLY_MS, timeoutMs / 4),
    clock,
  };
  warnOfUnproved({ type: "sqlserver", means: UNPROVED }, settings, log);
  const prepared = await prepare({ ...options, lockMs: MIGRATION_LOCK_MS }, wanted, context);
  warnOfTable(wanted, prepared, context);
  const connect = (each: AbortSignal): Promise<Session> => Session.open(options, each);
  const { maxConns } = settings;
  const pool = await Pool.open({ ...POOLING, connect, maxConns, clock, log }, signal);
  const runner = new Runner({ pool, clock, random, timeoutMs });
  const { key, keepsLastCleanup } = prepared;
  const sql = statementsFor(names, key, value);
  const intervalMs = settings.cleanupInterval;
  const steps = cleanupSteps({ runner, sql, intervalMs, isShared: keepsLastCleanup });
  const cleanup = new Cleanup({ intervalMs, steps, clock, log });
  const parts = { key, value, sql, bulkKeys, pool, runner, cleanup };
  return key.walkable
    ? new WalkableSqlServerStore(parts, walkStatements(tableOf(names.schema, names.state), value))
    : new SqlServerStore(parts);
}

/** Makes database and tables over a connection of its own, whose statements may wait longer. */
async function prepare(options: SessionOptions, wanted: Wanted, { signal }: OpenContext): Promise<Prepared> {
  const session = await openDatabase(options, signal);
  return overOnce(session, signal, () => migrate(session, wanted));
}

async function openDatabase(options: SessionOptions, signal: AbortSignal): Promise<Session> {
  try {
    return await Session.open(options, signal);
  } catch (error) {
    const isMissing = error instanceof ReplyError && DATABASE_MISSING.has(error.reply);
    // One that the connection string names may be mistyped; Dapr does not make it either.
    if (!isMissing || options.plan.databaseGiven) throw error;
  }
  const session = await Session.open({ ...options, database: null }, signal);
  await overOnce(session, signal, () => makeDatabase(session, options.plan.database));
  return Session.open(options, signal);
}

async function authorityOf({ authorityFile }: ServerPlan): Promise<string | null> {
  if (authorityFile === null) return null;
  return readCertificates({ setting: "certificate in connectionString", path: authorityFile });
}

/** Nothing is lost over such tables: a key that the collation takes for another one's is refused. */
function warnOfTable({ names, keyType }: Wanted, prepared: Prepared, { log }: OpenContext): void {
  const { key, collation, keepsLastCleanup } = prepared;
  if (keyType === "string" && !key.walkable)
    log.warn("the table's collation takes different keys for the same, and keys cannot be listed over it", {
      table: `${names.schema}.${names.state}`,
      collation,
      how: `give the column Key the collation ${COLLATION}, as docs/stores/sqlserver.md shows under "Keys"`,
    });
  if (!keepsLastCleanup)
    log.warn("the metadata table cannot keep the time of the last cleanup: every sidecar cleans up for itself", {
      table: `${names.schema}.${names.metadata}`,
      how: "drop it when no Dapr runs on it any more; it is made anew with a text as its key",
    });
}
