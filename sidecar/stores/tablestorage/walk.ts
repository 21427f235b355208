// Walks over keys: ranges of row names within one partition, or of partitions for keys without bars. Subtrees of keys with a
// further "||" are jumped over. The service's order is nowhere promised in full, so only what all orders have in common is
// used: what begins with a text comes together, and "|" comes before "}".
import { mustBeText } from "../azure/key-spelling.ts";
import {
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { foundIn, isInLayout, nameIn } from "./entity.ts";
import { type RowNames, spelled } from "./row-names.ts";
import type { Asked, Continuation, Page } from "./table.ts";

/** Requests that one page makes: among many types of actors it may be short, or empty. */
const REQUESTS_MAX = 20;
/** Rows of one request: the service's own limit. */
const ROWS_MAX = 1000;
/** With values, each of which can have 64 KiB. */
const VALUES_MAX = 128;

export interface Reader {
  readonly names: RowNames;
  query(asked: Asked): Promise<Page>;
}

/** Where a page begins: at a name, behind it, or where the service says. */
type Position =
  | { readonly kind: "at" | "behind"; readonly name: string }
  | { readonly kind: "token"; readonly token: Continuation };

export async function listPage(reader: Reader, { range, after, limit, values }: ListRequest): Promise<ListPage> {
  const scope = new Scope(reader.names, range);
  const rows: ListedRow[] = [];
  let bytes = 0;
  let position: Position = after === null ? { kind: "at", name: scope.beginning } : scope.readPosition(after);
  for (let requests = 0; requests < REQUESTS_MAX; requests++) {
    // One more than there is room for tells whether there are more.
    const top = Math.min(limit - rows.length + 1, values ? VALUES_MAX : ROWS_MAX);
    const token = position.kind === "token" ? position.token : null;
    const page = await reader.query({ filter: scope.filter(position), top, values, token });
    for (const entity of page.rows) {
      const name = nameIn(entity);
      const key = reader.names.keyOf(name);
      const isTold = key !== null && isInRange(range, key);
      if (isTold && (rows.length === limit || bytes >= LIST_BYTES_MAX)) return { rows, next: writePosition(position) };
      // What something else wrote can be told from values only, which a walk over keys does not ask for.
      if (isTold && (!values || isInLayout(entity))) {
        const found = values ? foundIn(entity) : null;
        rows.push({ key, found });
        bytes += found?.bytes.length ?? 0;
      }
      position = scope.behind(name.partition, name.row);
    }
    if (page.token === null) return { rows, next: null };
    if (page.rows.length === 0) position = { kind: "token", token: page.token };
  }
  return { rows, next: writePosition(position) };
}

/** The rows of a range as conditions: of one partition, or of keys without bars, whose names are partitions. */
class Scope {
  /** What all names of the range begin with. */
  readonly beginning: string;
  readonly #fixed: string;
  readonly #walked: "RowKey" | "PartitionKey";

  constructor(names: RowNames, { scope, start }: KeyRange) {
    mustBeText(start);
    this.#walked = scope === "" ? "PartitionKey" : "RowKey";
    this.beginning = spelled(start.slice(scope.length));
    this.#fixed =
      scope === ""
        ? `RowKey eq ${quoted(names.emptyRow)}`
        : `PartitionKey eq ${quoted(spelled(scope.slice(0, -"||".length)))}`;
  }

  filter(position: Position): string {
    const from = position.kind === "token" ? this.beginning : position.name;
    const parts = [this.#fixed, `${this.#walked} ${position.kind === "behind" ? "gt" : "ge"} ${quoted(from)}`];
    const end = endOf(this.beginning);
    if (end !== null) parts.push(`${this.#walked} lt ${quoted(end)}`);
    return parts.join(" and ");
  }

  /** Where a walk goes on after a row: behind all of a subtree where the row is one of it. */
  behind(partition: string, row: string): Position {
    if (this.#walked === "PartitionKey") return { kind: "behind", name: partition };
    const bars = row.indexOf("||");
    return bars < 0 ? { kind: "behind", name: row } : { kind: "at", name: `${row.slice(0, bars)}|}` };
  }

  /** Any text may come in; one that is no name within the range is refused. */
  readPosition(text: string): Position {
    const name = text.slice(1);
    const kind = KINDS[text.charAt(0)];
    if (kind === "token") return { kind, token: readToken(name) };
    if (kind === undefined || !name.startsWith(this.beginning) || !name.isWellFormed()) throw badPosition();
    return { kind, name };
  }
}

const KINDS: Readonly<Record<string, Position["kind"]>> = { "=": "at", ">": "behind", "~": "token" };

function writePosition(position: Position): string {
  if (position.kind === "token") return `~${JSON.stringify(position.token)}`;
  return (position.kind === "at" ? "=" : ">") + position.name;
}

function readToken(text: string): Continuation {
  try {
    const { partition, row }: { partition?: unknown; row?: unknown } = JSON.parse(text);
    if (isText(partition) && isText(row)) return { partition, row };
  } catch {
    // No JSON, so it was not written here: the same as one of another shape.
  }
  throw badPosition();
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.isWellFormed();
}

function badPosition(): StoreError {
  return new StoreError("refused", "the position of the page is none of this range");
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const SURROGATES = 0xd800;

/**
 * A text that comes after all that begin with `beginning`, by code points and by UTF-16 alike: the one with the last
 * character below the surrogates raised, for above them the two orders differ. Null when there is no such character.
 */
function endOf(beginning: string): string | null {
  for (let at = beginning.length - 1; at >= 0; at--) {
    const code = beginning.charCodeAt(at);
    if (code < SURROGATES - 1) return beginning.slice(0, at) + String.fromCharCode(code + 1);
  }
  return null;
}
