// Walks over keys: ranges of etcd's, cut into pages. Whole subtrees of keys with a further "||" are jumped over.
import { isUtf8 } from "node:buffer";
import {
  type Found,
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { behind, after as following, type KeyNames } from "./layout.ts";
import type { KeyValue, RangeRequest, RangeResponse } from "./messages.ts";

/** Ranges that one page asks for, and keys of each: a page among many keys of actors may be short, or empty. */
const RANGES_MAX = 20;
const KEYS_MAX = 1000;
/** With values: few at first, for each may be large, and twice as many each time. */
const VALUES_FIRST = 8;
const VALUES_MAX = 128;

export interface Reader {
  readonly names: KeyNames;
  /** Values are needed to know whether a row is one of the layout. */
  readonly needsValues: boolean;
  range(request: RangeRequest): Promise<RangeResponse>;
  /** One per row: null for one that is no longer there, `corrupt` for what is none of the layout. */
  found(rows: readonly KeyValue[]): Promise<readonly (Found | null | StoreError)[]>;
}

/** A page of a range. Its position is the name at which the next one begins, in base64: a name can be any bytes. */
export async function listPage(reader: Reader, request: ListRequest): Promise<ListPage> {
  const { names, needsValues } = reader;
  const { range, limit, values } = request;
  const withValues = values || needsValues;
  const end = behind(names.nameOf(range.start));
  const rows: ListedRow[] = [];
  let key = beginningOf(names, request, end);
  let bytes = 0;
  let step = withValues ? VALUES_FIRST : KEYS_MAX;
  for (let ranges = 0; ranges < RANGES_MAX; ranges++) {
    // Behind a subtree that was the last one.
    if (key.compare(end) >= 0) return { rows, next: null };
    // One more than there is room for tells whether there are more.
    const asked = Math.min(step, limit - rows.length + 1);
    const answer = await reader.range({ key, end, limit: asked, keysOnly: !withValues });
    const told = answer.rows.filter((row) => isTold(names, range, row));
    const found = withValues ? await reader.found(told) : [];
    const contents = new Map(told.map((row, index) => [row, found[index] ?? null]));
    for (const row of answer.rows) {
      if (rows.length === limit || bytes >= LIST_BYTES_MAX) return { rows, next: key.toString("base64url") };
      key = behindRow(names, range, row);
      const content = contents.get(row);
      if (content === undefined || content instanceof StoreError || (withValues && content === null)) continue;
      rows.push({ key: names.keyOf(row.key), found: values ? content : null });
      if (values) bytes += content?.bytes.length ?? 0;
    }
    if (!answer.more) return { rows, next: null };
    step = Math.min(step * 2, withValues ? VALUES_MAX : KEYS_MAX);
  }
  return { rows, next: key.toString("base64url") };
}

/** Any text may come in as a position; one that is no name within the range is refused. */
function beginningOf(names: KeyNames, { range, after }: ListRequest, end: Buffer): Buffer {
  const start = names.nameOf(range.start);
  if (after === null) return start;
  const name = Buffer.from(after, "base64url");
  if (name.compare(start) < 0 || name.compare(end) > 0)
    throw new StoreError("refused", "the position of the page is none of this range");
  return name;
}

/** Keys that are not UTF-8 are nobody's: no request can name them. */
function isTold(names: KeyNames, range: KeyRange, { key }: KeyValue): boolean {
  return isUtf8(key) && isInRange(range, names.keyOf(key));
}

/** The name at which a walk goes on behind a row: behind all of a subtree where the row is one of it. */
function behindRow(names: KeyNames, { scope }: KeyRange, row: KeyValue): Buffer {
  const name = Buffer.from(row.key.buffer, row.key.byteOffset, row.key.byteLength);
  const bars = name.indexOf("||", names.nameOf(scope).length);
  return bars < 0 ? following(name) : behind(name.subarray(0, bars + 2));
}
