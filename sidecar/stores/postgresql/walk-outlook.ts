// Whether walks over keys have their index in a table, or will have it. Makes nothing; who does is in walk-index.ts.
import type { Log } from "#kit/log.ts";
import { quoteTable, quoteText } from "./names.ts";
import type { Session, Statement } from "./session.ts";
import type { Tables } from "./statements.ts";
import { BUILD_LOCK, type WalkStatements } from "./walk.ts";

/** "makeable": there is none, and this user may make it. "missing": there is none, and this user may not. */
export type Outlook =
  | { readonly kind: "there" | "being-made" | "makeable" | "missing" }
  /** A build came to no good end: `index`, as SQL names it, is in the way of a new one. */
  | { readonly kind: "unfinished"; readonly index: string };

/** What walks over this table can count on. */
export async function outlookOf(session: Session, sql: WalkStatements, tables: Tables): Promise<Outlook> {
  const table = quoteTable(tables.state);
  const { rows: indexes } = await session.run(sql.findIndex, [table]);
  const { valid, unfinished } = indexes[0] ?? {};
  if (valid === true) return { kind: "there" };
  const { rows } = await session.run(prospect(table));
  const { underWay, mine } = rows[0] ?? {};
  if (underWay === true) return { kind: "being-made" };
  if (valid === false) return { kind: "unfinished", index: String(unfinished) };
  return { kind: mine === true ? "makeable" : "missing" };
}

/** Tells why no walk is served, and what to run so that they are. `why`: where it is not as the outlook says. Gives both. */
export function warnOfWalks(
  log: Log,
  { sql, tables, outlook, why = shortfall(outlook), next = "" }: WalkWarning,
): { readonly why: string; readonly how: string } {
  const drop = outlook.kind === "unfinished" ? `DROP INDEX CONCURRENTLY ${outlook.index}; then ` : "";
  const how = `as the table's owner run: ${drop}${sql.makeIndex.text}${next}`;
  log.warn("keys cannot be listed: no index serves walks over them", { table: quoteTable(tables.state), why, how });
  return { why, how };
}

export interface WalkWarning {
  readonly sql: WalkStatements;
  readonly tables: Tables;
  readonly outlook: Outlook;
  readonly why?: string;
  /** What follows the statement. */
  readonly next?: string;
}

function shortfall(outlook: Outlook): string {
  if (outlook.kind === "unfinished") return `the index ${outlook.index} was not finished`;
  return outlook.kind === "missing" ? "this user may not make it" : "another index has its name";
}

/**
 * `underWay`: someone builds an index on the table, by hand too, or a sidecar is about to. `mine`: this user may make one.
 * Of other users' builds the view of progress tells the process only, which is enough beside its lock on the table.
 */
function prospect(table: string): Statement {
  const here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())";
  const building = `SELECT FROM pg_locks JOIN pg_stat_progress_create_index USING (pid)
    WHERE locktype = 'relation' AND ${here} AND relation = pg_class.oid`;
  const claimed = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND ${here} AND classid = ${BUILD_LOCK}
    AND objid = (hashtext(${quoteText(table)})::bigint & 4294967295)::oid AND objsubid = 2 AND pid <> pg_backend_pid()`;
  return {
    name: "",
    text: `SELECT pg_has_role(relowner, 'USAGE') AND has_schema_privilege(relnamespace, 'CREATE') AS mine,
      EXISTS (${building}) OR EXISTS (${claimed}) AS "underWay"
      FROM pg_class WHERE oid = to_regclass(${quoteText(table)})`,
    lasting: false,
  };
}
