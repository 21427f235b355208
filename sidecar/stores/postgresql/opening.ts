// Opens a store of PostgreSQL, or of a database that speaks its protocol: settings into connections, tables and a store.
// Knows no type's name and no version.
import { availableParallelism } from "node:os";
import { assert } from "#kit/assert.ts";
import type { Fault } from "#kit/fault.ts";
import { Cleanup } from "../sql/cleanup.ts";
import { Pool } from "../sql/pool.ts";
import { Runner } from "../sql/runner.ts";
import { warnOfUnproved } from "../sql/unproved.ts";
import type { OpenContext, Store } from "../store.ts";
import { cleanupSteps } from "./cleanup.ts";
import type { ServerSettings } from "./fields.ts";
import { type Layout, withoutWalks } from "./layout.ts";
import { migrate } from "./migration.ts";
import { parseTableName } from "./names.ts";
import { openPasswords } from "./passwords.ts";
import { PostgresStore, WalkablePostgresStore } from "./postgresql-store.ts";
import type { Product } from "./product.ts";
import { planServer } from "./server-plan.ts";
import { Session, type SessionOptions, TIME_FIELD } from "./session.ts";
import { statementsFor, type Tables, tablesOf } from "./statements.ts";
import { readTlsFiles } from "./tls-files.ts";
import { BYTE_ORDER, walkStatements } from "./walk.ts";
import { WalkIndex, type WalkIndexOptions } from "./walk-index.ts";
import { type Outlook, outlookOf, warnOfWalks } from "./walk-outlook.ts";

/** Where and how a version of a type keeps its rows. */
export interface Place {
  readonly product: Product;
  readonly layout: Layout;
  /** As the settings spell it. */
  readonly stateTable: string;
  /** Rows of the metadata table. `levelKey`: null where none says how far the layout is. */
  readonly levelKey: string | null;
  readonly cleanupKey: string;
}

/** Making the layout may take so long; a Component's initTimeout is shorter, unless a large table is waited for. */
const MIGRATION_MS_MAX = 3_600_000;

const UNPROVED =
  "its statements were run on PostgreSQL with serializable transactions; try it with data that may be lost";

/** Faults between fields. `field`: the one that `stateTable` comes from. */
export function checkServer(
  settings: Readonly<ServerSettings>,
  { stateTable, field }: { readonly stateTable: string; readonly field: string },
): readonly Fault[] {
  const { faults } = planServer(settings, availableParallelism());
  const names = [stateTable, settings.metadataTableName].map((name) => JSON.stringify(parseTableName(name)));
  if (names[0] !== names[1]) return faults;
  const want = `another table than ${field} names`;
  return [
    ...faults,
    { severity: "error", field: "metadataTableName", got: settings.metadataTableName, want, hint: null },
  ];
}

/** Connects, makes the tables and gives the store, or rejects with a StoreError and leaves nothing open. */
export async function openStore(
  settings: Readonly<ServerSettings>,
  context: OpenContext,
  place: Place,
): Promise<Store> {
  const { product, layout, cleanupKey: key } = place;
  const { plan } = planServer(settings, availableParallelism(), product);
  const tables = tablesOf(place.stateTable, settings.metadataTableName);
  assert(plan !== null && tables !== null, "the settings were checked with the fields");
  const { clock, random, log, component } = context;
  if (product.unproved) warnOfUnproved({ type: product.name, means: UNPROVED }, settings, log);
  const options: SessionOptions = {
    plan,
    files: await readTlsFiles(plan),
    passwords: await openPasswords(settings, plan, clock),
    applicationName: `pannier-${component}`,
    clock,
  };
  const connect = (signal: AbortSignal): Promise<Session> => Session.open(options, signal);
  const { maxConns, idleMs: idleMsMax, lifetimeMs: lifeMsMax } = plan;
  // pg's own pool has no bound on its queue, no way to leave it, rejects where a connection would soon be free, and waits
  // at its end for servers that hang.
  const pooling = { product: product.name, timeField: TIME_FIELD, connect, maxConns, idleMsMax, lifeMsMax, clock, log };
  const pool = await Pool.open(pooling, context.signal);
  try {
    const runner = new Runner({ pool, clock, random, timeoutMs: settings.timeout });
    const isByteOrder = await prepare(runner, context, place, tables);
    const sql = statementsFor(layout, tables, { product, timeoutMs: settings.timeout });
    const walks = walkStatements(layout, tables, isByteOrder);
    const walkIndex = isByteOrder
      ? null
      : await walkIndexOf(runner, context, { sql: walks, tables, connect, clock, log });
    const canWalk = layout.features.list && (isByteOrder || walkIndex !== null);
    const intervalMs = settings.cleanupInterval;
    const steps = cleanupSteps({ runner, sql, key, intervalMs });
    const cleanup = new Cleanup({ intervalMs, steps, clock, log });
    const parts = { layout: canWalk ? layout : withoutWalks(layout), sql, walks, pool, runner, cleanup, walkIndex };
    return canWalk ? new WalkablePostgresStore(parts) : new PostgresStore(parts);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** Null, with a warning, where the index of walks is neither there nor can be made. */
async function walkIndexOf(
  runner: Runner<Session>,
  { signal, log }: OpenContext,
  options: WalkIndexOptions,
): Promise<WalkIndex | null> {
  const { sql, tables } = options;
  const task = (session: Session): Promise<Outlook> => outlookOf(session, sql, tables);
  const outlook = await runner.run({ effect: "read", signal, task });
  if (outlook.kind !== "missing" && outlook.kind !== "unfinished") return new WalkIndex(options);
  warnOfWalks(log, { sql, tables, outlook, next: "; then open the Component again" });
  return null;
}

/** Makes the tables; gives whether keys are ordered by their bytes. */
function prepare(
  runner: Runner<Session>,
  { clock, signal }: OpenContext,
  { product, layout, levelKey }: Place,
  tables: Tables,
): Promise<boolean> {
  const task = async (session: Session): Promise<boolean> => {
    await migrate(session, { product, layout, tables, levelKey, clock, signal });
    if (product.keyOrder === "bytes") return true;
    const { rows } = await session.run(BYTE_ORDER);
    return rows[0]?.yes === true;
  };
  return runner.run({ effect: "write", signal, timeoutMs: MIGRATION_MS_MAX, task });
}
