// state.mysql: MySQL 8 and MariaDB in Dapr's layout (dapr-state-stores.md 6). This file opens it: settings into connections,
// tables and a store.
import { assert } from "#kit/assert.ts";
import { Cleanup } from "../sql/cleanup.ts";
import { ReplyError } from "../sql/failure.ts";
import { readCertificates } from "../sql/pem-files.ts";
import { Pool } from "../sql/pool.ts";
import { Runner } from "../sql/runner.ts";
import { overOnce } from "../sql/single-use.ts";
import { type OpenContext, type Store, type StoreDriver, storeDriver } from "../store.ts";
import { cleanupSteps } from "./cleanup.ts";
import { fields, type MysqlSettings } from "./fields.ts";
import { isByteOrder, type Table } from "./layout.ts";
import { makeSchema, migrate } from "./migration.ts";
import { MysqlStore, WalkableMysqlStore } from "./mysql-store.ts";
import { planServer } from "./server-plan.ts";
import { Session, type SessionOptions, TIME_FIELD } from "./session.ts";
import { quoteName, statementsFor, type TableNames } from "./statements.ts";
import { walkStatements } from "./walk.ts";

export const driver: StoreDriver = storeDriver<MysqlSettings>({
  type: "state.mysql",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check: (settings) => planServer(settings).faults,
  open,
});

/** The server stops a statement so long before the call's time is up, so that its answer tells what became of a write. */
const STOP_EARLY_MS = 1000;
/** Making the layout may take so long; a Component's initTimeout is shorter, unless a large table is waited for. */
const MIGRATION_MS_MAX = 3_600_000;
/** Idle connections end well within the eight hours of the server's own wait_timeout. */
const POOLING = { product: "mysql", timeField: TIME_FIELD, idleMsMax: 30 * 60_000 } as const;
const UNKNOWN_SCHEMA = 1049;

async function open(settings: Readonly<MysqlSettings>, context: OpenContext): Promise<Store> {
  const { plan } = planServer(settings);
  assert(plan !== null, "the settings were checked with the fields");
  const { clock, random, log, signal } = context;
  const { timeoutMs, schema } = plan;
  const options: SessionOptions = {
    plan,
    schema,
    authority: await authorityOf(settings),
    applicationName: `pannier-${context.component}`,
    statementMs: timeoutMs - Math.min(STOP_EARLY_MS, timeoutMs / 4),
    clock,
  };
  const names = { state: settings.tableName, metadata: settings.metadataTableName };
  const table = await prepare({ ...options, statementMs: MIGRATION_MS_MAX }, names, context);
  if (!isByteOrder(table)) warnOfCollation(context, names.state, table);
  const connect = (each: AbortSignal): Promise<Session> => Session.open(options, each);
  const { maxConns, lossyValues, cleanupInterval: intervalMs } = settings;
  // mysql2's own pool cannot tell a server that is down from one that is busy, has no way to leave its queue, and waits
  // at its end for servers that hang.
  const pool = await Pool.open({ ...POOLING, connect, maxConns, clock, log }, signal);
  const runner = new Runner({ pool, clock, random, timeoutMs });
  const sql = statementsFor(names, table);
  const cleanup = new Cleanup({ intervalMs, steps: cleanupSteps({ runner, sql, intervalMs }), clock, log });
  const parts = { table, lossyValues, sql, pool, runner, cleanup, clock, random };
  return isByteOrder(table) ? new WalkableMysqlStore(parts, walkStatements(names.state)) : new MysqlStore(parts);
}

/** Makes schema and tables over a connection of its own, whose statements may take longer, and gives the table. */
async function prepare(options: SessionOptions, names: TableNames, { signal }: OpenContext): Promise<Table> {
  return overOnce(await openSchema(options, signal), signal, (session) => migrate(session, names));
}

async function openSchema(options: SessionOptions, signal: AbortSignal): Promise<Session> {
  try {
    return await Session.open(options, signal);
  } catch (error) {
    if (!(error instanceof ReplyError) || error.reply !== UNKNOWN_SCHEMA) throw error;
    const session = await Session.open({ ...options, schema: null }, signal);
    await overOnce(session, signal, () => makeSchema(session, options.plan.schema));
    return Session.open(options, signal);
  }
}

async function authorityOf({ pemPath, pemContents }: Readonly<MysqlSettings>): Promise<string | null> {
  if (pemPath === "") return pemContents === "" ? null : pemContents;
  return readCertificates({ setting: "pemPath", path: pemPath });
}

/** A table that Dapr made. Nothing is lost: a key that the collation takes for another one's is refused. */
function warnOfCollation({ log }: OpenContext, name: string, { collation }: Table): void {
  const how = `ALTER TABLE ${quoteName(name)} MODIFY id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL`;
  log.warn("the table's collation takes different keys for the same, and keys cannot be listed over it", {
    table: name,
    collation,
    how: `on MariaDB: ${how}; on MySQL the same with utf8mb4_0900_bin`,
  });
}
