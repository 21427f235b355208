// Walks over the keys of a range along the index of _id, by their bytes: a page, their number, deleting them. Whole
// subtrees of keys with a further "||" are jumped over.
import type { ClientSession, Collection, Document } from "mongodb";
import { compareUtf8, endOfBeginning } from "#kit/utf8-order.ts";
import {
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { mustBeText, type ReadRow, type Row, readRow } from "./layout.ts";
import { filterOf } from "./narrowing.ts";
import type { ServerClock } from "./server-clock.ts";
import { live, optional } from "./writes.ts";

/** Calls that one page makes, and documents of each: a page among many keys of actors may be short, or empty. */
const FINDS_MAX = 20;
const ROWS_MAX = 1000;
/** With values: few at a time, for each may be large. */
const ROWS_WITH_VALUES_MAX = 250;
/** Documents that the server looks at for some values in one call. */
const LOOKED_MAX = 10_000;

export interface Walk {
  readonly collection: Collection<Row>;
  readonly time: ServerClock;
  /** What is left of the call's time. */
  leftMs(): number;
}

/** What is in the layout at all; anything else under a key is somebody else's. */
const HAS_VALUE = { value: { $exists: true } };
const IN_LAYOUT = { ...HAS_VALUE, $or: [{ _ttl: null }, { _ttl: { $type: "date" } }] };
const KEYS_ONLY = { _id: 1, _ttl: 1 };

/** A page of a range. Its position is the text at which the next one begins, whether or not a key is there. */
export async function listPage(walk: Walk, request: ListRequest): Promise<ListPage> {
  const { range, limit, values } = request;
  const where = values ? filterOf(request.where ?? null) : null;
  const end = endOfBeginning(range.start);
  const page: ListedRow[] = [];
  let place = beginningOf(request, end);
  let bytes = 0;
  for (let finds = 0; finds < FINDS_MAX; finds++) {
    // One more than there is room for tells whether there are more.
    const asked = Math.min(values ? ROWS_WITH_VALUES_MAX : ROWS_MAX, limit - page.length + 1);
    const until = where === null ? null : await windowEnd(walk, range, { place, end });
    const look = await lookFrom(walk, { place, end: until ?? end, asked, values, range, where });
    for (const { key, found, expiresAtMs } of look.rows) {
      if (page.length === limit || bytes >= LIST_BYTES_MAX) return { rows: page, next: place };
      place = `${key}\0`;
      if (expiresAtMs !== null && expiresAtMs <= walk.time.earliestMs()) continue;
      if (!values) page.push({ key, found: null });
      else if (!(found instanceof StoreError)) {
        page.push({ key, found });
        bytes += found.bytes.length;
      }
    }
    const next = look.next ?? until;
    if (next === null) return { rows: page, next: null };
    place = next;
    if (page.length === limit || bytes >= LIST_BYTES_MAX) return { rows: page, next: place };
  }
  return { rows: page, next: place };
}

interface Look {
  readonly place: string;
  /** Null: to the last key of all. */
  readonly end: string | null;
  readonly asked: number;
  readonly values: boolean;
  readonly range: KeyRange;
  /** What the server looks for; null for all documents. */
  readonly where: Document | null;
}

/**
 * Where the server ends a search for documents of some values, which can be few among many; null where the range ends
 * before. Within a subtree it is the end of that, so that the next one begins behind it.
 */
async function windowEnd(
  { collection, leftMs }: Walk,
  range: KeyRange,
  { place, end }: Pick<Look, "place" | "end">,
): Promise<string | null> {
  const filter = { _id: idsOf(place, end) };
  const options = {
    projection: { _id: 1 },
    sort: { _id: 1 },
    skip: LOOKED_MAX,
    limit: 1,
    maxTimeMS: leftMs(),
  } as const;
  const [last] = await collection.find(filter as Document, options).toArray();
  if (last === undefined) return null;
  const until = behindSubtree(range, last._id) ?? last._id;
  return until === "" || (end !== null && compareUtf8(until, end) >= 0) ? null : until;
}

/** Null: to the last key of all. */
function idsOf(place: string, end: string | null): Document {
  return { $gte: place, ...(end === null ? {} : { $lt: end }) };
}

/** Documents from a place on, up to the first that begins a subtree; `next`: where to look on, null at the end. */
async function lookFrom(
  { collection, leftMs }: Walk,
  { place, end, asked, values, range, where }: Look,
): Promise<{ readonly rows: readonly ReadRow[]; readonly next: string | null }> {
  const filter = { _id: idsOf(place, end), ...IN_LAYOUT, ...(where === null ? {} : { $and: [where] }) };
  const options = { raw: true, sort: { _id: 1 }, limit: asked, maxTimeMS: leftMs() } as const;
  const cursor = collection.find<Uint8Array>(
    filter as Document,
    values ? options : { ...options, projection: KEYS_ONLY },
  );
  const rows: ReadRow[] = [];
  let bytes = 0;
  for await (const document of cursor) {
    const row = readRow(document);
    const behind = behindSubtree(range, row.key);
    if (behind !== null) return { rows, next: behind === "" ? null : behind };
    rows.push(row);
    bytes += document.length;
    // Its rest stays with the server: leaving the loop ends it there too.
    if (bytes >= LIST_BYTES_MAX && rows.length < asked) return { rows, next: `${row.key}\0` };
  }
  const last = rows.at(-1);
  return { rows, next: rows.length < asked || last === undefined ? null : `${last.key}\0` };
}

/** Where the keys go on behind those that share the first "||" after the scope; null for a key of the range. */
function behindSubtree(range: KeyRange, key: string): string | null {
  if (isInRange(range, key)) return null;
  const bars = key.indexOf("||", range.scope.length);
  return endOfBeginning(key.slice(0, bars + 2)) ?? "";
}

/** Any text may come in as a position; one that is not in the range is refused. */
function beginningOf({ range, after }: ListRequest, end: string | null): string {
  mustBeText(range.start);
  if (after === null) return range.start;
  const isInside = after.isWellFormed() && (after.startsWith(range.start) || after === end);
  if (!isInside) throw new StoreError("refused", "the position of the page is none of this range");
  return after;
}

/** The server counts; it looks at the range's keys, those of actors in it included. */
export function countRange({ collection, time, leftMs }: Walk, range: KeyRange): Promise<number> {
  mustBeText(range.start);
  const end = endOfBeginning(range.start);
  const bounds = { $gte: range.start, ...(end === null ? {} : { $lt: end }) };
  // In characters, as the server's expressions count them: the scope itself holds two bars.
  const scope = [...range.scope].length;
  const filter = {
    _id: { ...bounds, $not: new RegExp(`^[\\s\\S]{${scope}}[\\s\\S]*\\|\\|`) },
    ...HAS_VALUE,
    ...live(time),
  };
  return collection.countDocuments(filter as Document, { maxTimeMS: leftMs() });
}

/** Deletes documents of the layout under these keys, and gives how many there were. */
export async function removeKeys(
  collection: Collection<Row>,
  keys: readonly string[],
  session: ClientSession | undefined,
): Promise<number> {
  const filter: Document = { _id: { $in: [...keys] }, ...IN_LAYOUT };
  return (await collection.deleteMany(filter, optional(session, null))).deletedCount;
}
