// Walks over keys: ranges of the primary key, cut into pages. Whole subtrees of keys with a further "||" are jumped over.
// Spanner orders texts by their code points, as UTF-8 does by its bytes.
import { endOfBeginning } from "#kit/utf8-order.ts";
import type { KeyRange as Range } from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import type { How } from "../google/client.ts";
import {
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { type Calls, STRONG } from "./calls.ts";
import { type Column, expiryMs, FOUND_COLUMNS, keyList, type Row, toStored } from "./rows.ts";

/** Reads that one page asks for, and rows of each: a page among many keys of actors may be short, or empty. */
const READS_MAX = 20;
const ROWS_MAX = 1000;
const KEY_COLUMNS: readonly Column[] = ["key", "expiry"];

/** Where a read begins: behind a key, or at the first key that is not below it. */
interface Position {
  readonly kind: "behind" | "from";
  readonly key: string;
}

/** A page of a range; its rows are live by the server's time of the read that found them. */
export async function listPage(
  calls: Calls,
  { range, after, limit, values }: ListRequest,
  how: How,
): Promise<ListPage> {
  const rows: ListedRow[] = [];
  let position = positionOf(range, after);
  let bytes = 0;
  for (let reads = 0; reads < READS_MAX; reads++) {
    if (bytes >= LIST_BYTES_MAX) break;
    // One more than there is room for tells whether there are more.
    const asked = Math.min(ROWS_MAX, limit - rows.length + 1);
    const read = await readFrom(calls, { range, position, limit: asked, values }, how);
    for (const row of read.rows) {
      if (rows.length === limit || bytes >= LIST_BYTES_MAX) return { rows, next: textOf(position) };
      const [key = null] = row;
      if (key === null) continue;
      position = behind(range, key);
      // A row that somebody else wrote without a value is none.
      if (!isInRange(range, key) || (values && row[1] === null)) continue;
      const found = values ? toStored(row).found : null;
      const expiresAtMs = found?.expiresAtMs ?? (values ? null : expiryMs(row[1] ?? null));
      if (expiresAtMs !== null && expiresAtMs <= read.atMs) continue;
      rows.push({ key, found });
      bytes += found?.bytes.length ?? 0;
    }
    if (read.isLast) return { rows, next: null };
  }
  return { rows, next: textOf(position) };
}

interface ReadRequest {
  readonly range: KeyRange;
  readonly position: Position;
  /** Most rows. */
  readonly limit: number;
  readonly values: boolean;
}

interface ReadRows {
  /** Up to the first one of a subtree, or until their values are enough. */
  readonly rows: readonly Row[];
  /** Behind them there is nothing more. */
  readonly isLast: boolean;
  /** The server's time. */
  readonly atMs: number;
}

async function readFrom(calls: Calls, { range, position, limit, values }: ReadRequest, how: How): Promise<ReadRows> {
  let rows: Row[] = [];
  let isLast = true;
  let characters = 0;
  const begin = (): ((row: Row) => boolean) => {
    rows = [];
    isLast = true;
    characters = 0;
    return (row) => {
      rows.push(row);
      characters += row[1]?.length ?? 0;
      const bytes = (characters * 3) / 4;
      isLast = isInRange(range, row[0] ?? "") && rows.length < limit && (!values || bytes < LIST_BYTES_MAX);
      return isLast;
    };
  };
  const request = {
    columns: values ? FOUND_COLUMNS : KEY_COLUMNS,
    keySet: { keys: [], ranges: [rangeOf(range, position)] },
    limit,
    options: STRONG,
  };
  const { atMs } = await calls.rows(request, how, begin);
  if (atMs === null) throw new StoreError("failed", "spanner told no time of a read");
  return { rows, isLast, atMs };
}

function rangeOf({ start }: KeyRange, { kind, key }: Position): Range {
  const end = endOfBeginning(start);
  const list = keyList(key);
  return {
    startKeyType:
      kind === "behind" ? { $case: "startOpen", startOpen: list } : { $case: "startClosed", startClosed: list },
    // Without components a closed end is that of the table.
    endKeyType:
      end === null ? { $case: "endClosed", endClosed: { values: [] } } : { $case: "endOpen", endOpen: keyList(end) },
  };
}

/** Behind a row: behind all of a subtree where the row is one of it. */
function behind({ scope }: KeyRange, key: string): Position {
  const bars = key.indexOf("||", scope.length);
  return bars < 0 ? { kind: "behind", key } : { kind: "from", key: endOfBeginning(key.slice(0, bars + 2)) ?? "" };
}

const LETTERS = { b: "behind", f: "from" } as const;

function textOf({ kind, key }: Position): string {
  return `${kind === "behind" ? "b" : "f"}${key}`;
}

/** Any text may come in as a position; one that is no place within the range is refused. */
function positionOf({ start }: KeyRange, after: string | null): Position {
  if (after === null) return { kind: "from", key: start };
  const [letter, key] = [after.slice(0, 1), after.slice(1)];
  const kind = letter === "b" || letter === "f" ? LETTERS[letter] : null;
  if (kind === null || !key.startsWith(start) || !key.isWellFormed())
    throw new StoreError("refused", "the position of the page is none of this range");
  return { kind, key };
}
