// Brings the tables to the layout that this build knows, as Dapr does it, so that both may start on the same tables at the
// same moment (dapr-state-stores.md 0.8, 3b, 4b). Works on one connection.
import { type Clock, sleep } from "#kit/clock.ts";
import { ReplyError } from "../sql/failure.ts";
import { StoreError } from "../store.ts";
import { cockroachSteps } from "./cockroachdb-tables.ts";
import { isMadeElsewhere } from "./failures.ts";
import type { Layout } from "./layout.ts";
import { quoteName, quoteTable } from "./names.ts";
import type { Product } from "./product.ts";
import type { Answer, Parameter, Session } from "./session.ts";
import { begin, type Tables } from "./statements.ts";

export interface Migration {
  readonly product: Product;
  readonly layout: Layout;
  readonly tables: Tables;
  /** Under which the metadata table keeps how far the layout is; null where nothing does. */
  readonly levelKey: string | null;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What the tables look like now. */
interface State {
  readonly level: number;
  readonly columns: ReadonlySet<string>;
}

/** Makes what is missing. Looks without a lock first: a server that takes no writes can still serve reads. */
export async function migrate(session: Session, migration: Migration): Promise<void> {
  const { layout } = migration;
  await mustHaveTransactions(session);
  await mustHoldUnicode(session);
  const { levelKey } = migration;
  if (levelKey === null) await complete(session, migration);
  else if (isBehind(layout, await look(session, migration))) {
    if (migration.product.transactionalTables) await underLock(session, migration, levelKey);
    else await oneByOne(session, migration, levelKey);
  }
  const { columns } = await look(session, migration);
  const missing = columnsOf(layout).filter((name) => !columns.has(name));
  if (missing.length === 0) return;
  const table = quoteTable(migration.tables.state);
  const other = layout.version === "v1" ? "v2" : "v1";
  throw new StoreError(
    "corrupt",
    `the table ${table} has no column ${missing.join(", ")}: it is not in the layout of version ${layout.version}. ` +
      `Is it one of version ${other}? Set version to ${other}, or name another table`,
  );
}

/** pgbouncer in statement mode ends the session of who begins one. */
async function mustHaveTransactions(session: Session): Promise<void> {
  try {
    await query(session, "BEGIN");
  } catch (error) {
    if (!(error instanceof ReplyError && error.reply === POOLER_STATE)) throw error;
    throw new StoreError(
      "unavailable",
      `${session.server} takes no transactions, which the store needs. Is it pgbouncer with pool_mode = statement? ` +
        "Set pool_mode to transaction or session there",
    );
  }
  await query(session, "ROLLBACK");
}

/** What pgbouncer answers with by itself (its send_pooler_error). */
const POOLER_STATE = "08P01";

/** Other encodings refuse characters, or take them and find them again as others. SQL_ASCII keeps bytes as they come. */
async function mustHoldUnicode(session: Session): Promise<void> {
  const { rows } = await query(session, "SELECT getdatabaseencoding() AS encoding");
  const encoding = rows[0]?.encoding;
  if (encoding === "UTF8" || encoding === "SQL_ASCII") return;
  throw new StoreError(
    "unavailable",
    `the database has the encoding ${encoding}, which cannot hold every character. Make another one by ` +
      "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in connectionString or database",
  );
}

/** True where a step is missing. A table that was dropped is made anew, whatever the level says. */
function isBehind(layout: Layout, { level, columns }: State): boolean {
  return level < levels(layout) || columns.size === 0;
}

/** How many steps the layout has come by. */
function levels(layout: Layout): number {
  return layout.version === "v1" ? V1_LEVELS : V2_LEVELS;
}

const V1_LEVELS = 3;
const V2_LEVELS = 2;

function columnsOf({ columns: { value, etag, expiry, created }, version }: Layout): readonly string[] {
  const updated = version === "v1" ? "updatedate" : "updated_at";
  // Every table of PostgreSQL has xmin, and no catalog of columns tells it.
  const own = etag.name === "xmin" ? [] : [etag.name];
  return ["key", ...value.map(({ name }) => name), expiry, created, updated, ...own];
}

const COLUMNS = `SELECT attname AS name FROM pg_attribute
  WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`;

async function look(session: Session, migration: Migration): Promise<State> {
  const { rows } = await query(session, COLUMNS, [quoteTable(migration.tables.state)]);
  return { level: await levelOf(session, migration), columns: new Set(rows.map(({ name }) => String(name))) };
}

/** 0 without a table or a row. */
async function levelOf(session: Session, { tables, levelKey }: Migration): Promise<number> {
  if (levelKey === null) return 0;
  const metadata = quoteTable(tables.metadata);
  const { rows: found } = await query(session, "SELECT to_regclass($1) IS NOT NULL AS found", [metadata]);
  if (found[0]?.found !== true) return 0;
  const { rows } = await query(session, `SELECT value FROM ${metadata} WHERE key = $1`, [levelKey]);
  const text = rows[0]?.value;
  if (text === undefined) return 0;
  // A level beyond the known ones is a later build's, which older ones can read (0.8).
  if (typeof text === "string" && /^\d{1,9}$/.test(text)) return Number(text);
  const message = `the row '${levelKey}' of table ${metadata} holds no whole number; is it a table of something else?`;
  throw new StoreError("corrupt", `${message} Set metadataTableName to another name`);
}

const CREATE_ATTEMPTS_MAX = 3;
const CREATE_PAUSE_MS = 50;
/** Between two statements: what takes long is the statements themselves. */
const IDLE_MS_MAX = 60_000;

async function underLock(session: Session, migration: Migration, levelKey: string): Promise<void> {
  const metadata = quoteTable(migration.tables.metadata);
  await createMetadata(session, migration);
  await query(session, `INSERT INTO ${metadata} (key, value) VALUES ('lock', 'lock') ON CONFLICT (key) DO NOTHING`);
  await session.run(begin(migration.product, IDLE_MS_MAX));
  // Dapr waits for the same row.
  await query(session, `SELECT value FROM ${metadata} WHERE key = 'lock' FOR UPDATE`);
  await takeSteps(session, migration, levelKey);
  await query(session, "COMMIT");
}

/** Where a transaction does not hold changes of tables together: who comes second at the same moment looks again. */
async function oneByOne(session: Session, migration: Migration, levelKey: string): Promise<void> {
  const metadata = quoteTable(migration.tables.metadata);
  await createMetadata(session, migration);
  await query(session, `INSERT INTO ${metadata} (key, value) VALUES ('lock', 'lock') ON CONFLICT (key) DO NOTHING`);
  await unlessMadeElsewhere(migration, () => takeSteps(session, migration, levelKey));
}

/** Every start, as Dapr does it: a step that was taken before does nothing. */
async function complete(session: Session, migration: Migration): Promise<void> {
  await unlessMadeElsewhere(migration, async () => {
    const { columns } = await look(session, migration);
    const { isNumbered } = await rowIdOf(session, migration);
    for (const step of cockroachSteps(migration.tables, { columns, isNumbered })) await query(session, step);
  });
  await createMetadata(session, migration);
}

async function takeSteps(session: Session, migration: Migration, levelKey: string): Promise<void> {
  const { layout } = migration;
  const state = await look(session, migration);
  if (!isBehind(layout, state)) return;
  const steps = layout.version === "v1" ? v1Steps(migration) : v2Steps(migration, state.columns.size > 0);
  for (const step of steps) await query(session, step);
  await addRowId(session, migration);
  const reached = String(Math.max(state.level, levels(layout)));
  const metadata = quoteTable(migration.tables.metadata);
  const store = `INSERT INTO ${metadata} (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
  await query(session, store, [levelKey, reached]);
}

/** Before there is a lock. */
async function createMetadata(session: Session, migration: Migration): Promise<void> {
  const metadata = quoteTable(migration.tables.metadata);
  const text = `CREATE TABLE IF NOT EXISTS ${metadata} (key text NOT NULL PRIMARY KEY, value text NOT NULL)`;
  await unlessMadeElsewhere(migration, () => query(session, text));
}

/** Does it again where another session made the same at the same moment; Dapr tries as often. */
async function unlessMadeElsewhere({ clock, signal }: Migration, make: () => Promise<unknown>): Promise<void> {
  for (let made = 1; ; made++) {
    try {
      await make();
      return;
    } catch (error) {
      if (!isMadeElsewhere(error) || made === CREATE_ATTEMPTS_MAX) throw error;
      if (!(await sleep(clock, CREATE_PAUSE_MS, signal))) throw error;
    }
  }
}

/** A table that is older than the metadata table has all but what came later. */
function v1Steps({ tables }: Migration): readonly string[] {
  const state = quoteTable(tables.state);
  return [
    `CREATE TABLE IF NOT EXISTS ${state} (
      key text NOT NULL PRIMARY KEY,
      value jsonb NOT NULL,
      isbinary boolean NOT NULL,
      insertdate timestamptz NOT NULL DEFAULT now(),
      updatedate timestamptz NULL)`,
    `ALTER TABLE ${state} ADD COLUMN IF NOT EXISTS expiredate timestamptz`,
  ];
}

function v2Steps({ tables }: Migration, exists: boolean): readonly string[] {
  if (exists) return [];
  const state = quoteTable(tables.state);
  return [
    `CREATE TABLE ${state} (
      key text NOT NULL PRIMARY KEY,
      value bytea NOT NULL,
      etag uuid NOT NULL DEFAULT gen_random_uuid(),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz,
      expires_at timestamptz)`,
    `CREATE INDEX ON ${state} (expires_at)`,
  ];
}

/** How far the numbers are by which Dapr lists keys. */
interface RowId {
  readonly isIdentity: boolean;
  /** It has its unique index, which comes last. */
  readonly isNumbered: boolean;
}

const UNIQUE_ROW_ID = `SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
  WHERE indrelid = to_regclass($1) AND indisunique AND attname = 'row_id'`;

async function rowIdOf(session: Session, { tables }: Migration): Promise<RowId> {
  const state = [quoteTable(tables.state)];
  const { rows } = await query(session, `${COLUMNS} AND attname = 'row_id' AND attidentity <> ''`, state);
  const { count } = await query(session, UNIQUE_ROW_ID, state);
  return { isIdentity: rows.length > 0, isNumbered: count > 0 };
}

/** Since 1.17 of Dapr: older rows get their numbers in the order in which they were made. */
async function addRowId(session: Session, migration: Migration): Promise<void> {
  const { layout, tables, product } = migration;
  const state = quoteTable(tables.state);
  const { isIdentity, isNumbered } = await rowIdOf(session, migration);
  if (isIdentity && (isNumbered || product.transactionalTables)) return;
  const order = `ORDER BY ${layout.columns.created}, key`;
  const steps = [
    `ALTER TABLE ${state} ADD COLUMN IF NOT EXISTS row_id bigint`,
    `UPDATE ${state} AS held SET row_id = ranked.number FROM (SELECT key, row_number() OVER (${order})
      + (SELECT coalesce(max(row_id), 0) FROM ${state}) AS number FROM ${state} WHERE row_id IS NULL) AS ranked
      WHERE held.key = ranked.key`,
    `ALTER TABLE ${state} ALTER COLUMN row_id SET NOT NULL`,
    `ALTER TABLE ${state} ALTER COLUMN row_id ADD GENERATED BY DEFAULT AS IDENTITY`,
  ];
  if (!isIdentity) for (const step of steps) await query(session, step);
  // Never back: where this is no transaction, others may have taken numbers since.
  const sequence = "pg_get_serial_sequence($1, 'row_id')";
  const next = `SELECT setval(${sequence}, greatest((SELECT coalesce(max(row_id), 0) + 1 FROM ${state}), nextval(${sequence})), false)`;
  await query(session, next, [state]);
  if (isIdentity) {
    // And before that, rows may have come to the numbers of older ones.
    const later = `SELECT key FROM (SELECT key, row_number() OVER (PARTITION BY row_id ${order}) AS nth FROM ${state}) AS each
      WHERE nth > 1`;
    await query(session, `UPDATE ${state} SET row_id = nextval(${sequence}) WHERE key IN (${later})`, [state]);
  }
  const index = quoteName(`${tables.state.name}_row_id_uidx`);
  await query(session, `CREATE UNIQUE INDEX IF NOT EXISTS ${index} ON ${state} (row_id)`);
}

/** Nothing here is called lasting: what a lost connection leaves behind is found and finished by the next opening. */
function query(session: Session, text: string, values: readonly Parameter[] = []): Promise<Answer> {
  return session.run({ name: "", text, lasting: false }, values);
}
