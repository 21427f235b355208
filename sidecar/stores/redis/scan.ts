// Walking over keys with SCAN. Redis gives no order and no pages of a size: a step goes over whole buckets of its table
// and tells what is in them. Here that becomes pages that hold no more rows and bytes than asked for.
import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import type { Clock } from "#kit/clock.ts";
import type { Call } from "../store.ts";
import {
  isInRange,
  type KeyRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import { RedisError } from "./errors.ts";
import { type RowForm, type RowLink, type RowReader, readRow } from "./rows.ts";
import { evaluate, MEASURE_DOCUMENT, NO_MEASURE } from "./scripts.ts";

/** Calls of SCAN that one page makes, and keys that each of them looks at (COUNT): a page may find less, or nothing. */
export const SCAN_CALLS_MAX = 50;
export const SCAN_KEYS_MAX = 1000;
/** Keys of one bucket that a position can name. */
const TOLD_MAX = 128;

/** Where a walk goes on: a cursor of SCAN, and what was already told of the step that begins there. */
interface Position {
  readonly cursor: string;
  readonly told: ReadonlySet<string>;
}

/** A key that holds a row, and the bytes of its value. */
interface Candidate {
  readonly key: string;
  readonly form: RowForm;
  readonly bytes: number;
}

export interface Scan extends ListRequest {
  /** To the server whose keys are told. */
  readonly link: RowLink;
  /** Looks at one key, which in a cluster may be on its way to another server. */
  readonly read: RowReader;
  readonly clock: Clock;
  readonly call: Call;
}

/**
 * A page of the keys of a range. A step that does not fit is taken in smaller ones, down to a single bucket; only of that
 * is a part told, and the position then names which. So a key that is there during the whole walk is told, as SCAN
 * promises, also when the server changes the size of its table in between; and it may be told twice.
 */
export async function scanPage(scan: Scan): Promise<ListPage> {
  const page = new Page(scan.limit);
  let { cursor, told } = readPosition(scan.after);
  let count = page.nextCount();
  for (let calls = 0; calls < SCAN_CALLS_MAX; calls++) {
    if (scan.call.signal.aborted) throw new StoreError("timeout", "the caller left before the page was complete");
    const step = await scanStep(scan.link, cursor, scan.range, count);
    const fresh = step.keys.filter((key) => !page.has(key) && (told.size === 0 || !told.has(digest(key))));
    const candidates = await candidatesOf(scan, fresh);
    if (!page.fits(candidates)) {
      if (page.rows.length > 0) return page.upTo({ cursor, told });
      if (count > 1) {
        count = Math.ceil(count / 4);
        continue;
      }
      const part = page.part(candidates);
      await page.take(scan, part);
      if (part.length < candidates.length)
        return page.upTo({ cursor, told: new Set([...told, ...part.map(({ key }) => digest(key))]) });
    } else await page.take(scan, candidates);
    cursor = step.next;
    told = NONE;
    if (cursor === START) return { rows: page.rows, next: null };
    if (page.isFull()) break;
    count = page.nextCount(count, candidates.length);
  }
  return page.upTo({ cursor, told });
}

const NONE: ReadonlySet<string> = new Set();
const START = "0";

/** The rows of a page so far. */
class Page {
  readonly rows: ListedRow[] = [];
  readonly #limit: number;
  readonly #keys = new Set<string>();
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  isFull(): boolean {
    return this.rows.length >= this.#limit || this.#bytes >= LIST_BYTES_MAX;
  }

  fits(candidates: readonly Candidate[]): boolean {
    const bytes = candidates.reduce((sum, each) => sum + each.bytes, this.#bytes);
    return this.rows.length + candidates.length <= this.#limit && bytes <= LIST_BYTES_MAX;
  }

  /** The first of the candidates, as many as fit, and one at least. */
  part(candidates: readonly Candidate[]): readonly Candidate[] {
    const part: Candidate[] = [];
    for (const candidate of candidates) {
      if (part.length > 0 && !this.fits([...part, candidate])) break;
      part.push(candidate);
    }
    return part;
  }

  /**
   * How many keys the next step looks at: somewhat fewer than there is room for, since a step ends with a whole bucket;
   * more after a step that found little.
   */
  nextCount(before = 0, found = 0): number {
    const room = Math.floor((this.#limit - this.rows.length) * 0.8);
    const count = found * 4 < before ? before * 2 : room;
    return Math.max(1, Math.min(SCAN_KEYS_MAX, count));
  }

  async take(scan: Scan, candidates: readonly Candidate[]): Promise<void> {
    const rows = await Promise.all(
      candidates.map((each) => (scan.values ? foundRow(scan, each) : { key: each.key, found: null })),
    );
    for (const row of rows) {
      if (row === null) continue;
      this.rows.push(row);
      this.#keys.add(row.key);
      this.#bytes += row.found?.bytes.length ?? 0;
    }
  }

  upTo({ cursor, told }: Position): ListPage {
    if (told.size > TOLD_MAX) {
      const text = `redis holds more than ${TOLD_MAX} keys in one place of its table; ask for larger pages`;
      throw new StoreError("failed", text);
    }
    return { rows: this.rows, next: [cursor, ...told].join(".") };
  }
}

interface Step {
  readonly next: string;
  readonly keys: readonly string[];
}

/** One call of SCAN. Keys that are not UTF-8 are nobody's: no request can name them. */
async function scanStep(link: RowLink, cursor: string, range: KeyRange, count: number): Promise<Step> {
  const answer = await link.call("read", "scan", [cursor, "MATCH", `${globOf(range.start)}*`, "COUNT", String(count)]);
  const [next, names]: unknown[] = Array.isArray(answer) ? answer : [];
  if (!Buffer.isBuffer(next) || !Array.isArray(names)) {
    throw new StoreError("failed", "redis gave an answer that SCAN does not give");
  }
  const keys = new Set<string>();
  for (const name of names) {
    if (!Buffer.isBuffer(name) || !isUtf8(name)) continue;
    const key = name.toString("utf8");
    // Not by the pattern alone: it knows nothing of a further "||".
    if (isInRange(range, key)) keys.add(key);
  }
  return { next: next.toString("latin1"), keys: [...keys] };
}

/** A text that MATCH takes as itself. */
function globOf(text: string): string {
  let glob = "";
  for (const character of text) glob += "*?[]\\".includes(character) ? `\\${character}` : character;
  return glob;
}

/** Those of the keys that hold a row of the layout: a hash or a document with data and version, or a string as early Daprs wrote it. */
async function candidatesOf(scan: Scan, keys: readonly string[]): Promise<readonly Candidate[]> {
  const found = await Promise.all(keys.map((key) => candidateOf(scan, key)));
  return found.filter((candidate) => candidate !== null);
}

/** Without a key prefix every plain string of the database would pass for one of an early Dapr: there none is told. */
function tellsStrings({ scope }: KeyRange): boolean {
  return scope !== "";
}

function candidateOf({ read, range, values }: Scan, key: string): Promise<Candidate | null> {
  return read(key, (link) => candidateOver(link, key, { range, values }));
}

type Looking = Pick<Scan, "range" | "values">;

async function candidateOver(link: RowLink, key: string, looking: Looking): Promise<Candidate | null> {
  try {
    return await hashOf(link, key, looking);
  } catch (error) {
    if (!isWrongType(error)) throw error;
    return link.hasJson ? documentOf(link, key, looking) : stringOf(link, key, looking);
  }
}

async function hashOf(link: RowLink, key: string, { values }: Looking): Promise<Candidate | null> {
  const [data, version, bytes] = await Promise.all([
    link.call("read", "hexists", [key, "data"]),
    link.call("read", "hexists", [key, "version"]),
    values ? link.call("read", "hstrlen", [key, "data"]) : 0,
  ]);
  return data === 1 && version === 1 ? { key, form: "hash", bytes: Number(bytes) } : null;
}

/** One script, which tells a document of a string, a set and so on by its type: of these a user may have no right to JSON. */
async function documentOf(link: RowLink, key: string, looking: Looking): Promise<Candidate | null> {
  const bytes = Number(await evaluate(link, MEASURE_DOCUMENT, ["1", key, looking.values ? "1" : ""]));
  // It has become one since it was looked at, and would be missed.
  if (bytes === NO_MEASURE.hash) return hashOf(link, key, looking);
  if (bytes === NO_MEASURE.noDocument) return stringOf(link, key, looking);
  return bytes < 0 ? null : { key, form: "document", bytes };
}

async function stringOf(link: RowLink, key: string, { range }: Looking): Promise<Candidate | null> {
  if (!tellsStrings(range)) return null;
  try {
    return { key, form: "string", bytes: Number(await link.call("read", "strlen", [key])) };
  } catch (error) {
    if (!isWrongType(error)) throw error;
    return null;
  }
}

function isWrongType(error: unknown): boolean {
  return error instanceof RedisError && error.reply === "WRONGTYPE";
}

/** Null when the row is gone by now, or no longer one of the layout. */
async function foundRow({ read, clock, range }: Scan, { key, form }: Candidate): Promise<ListedRow | null> {
  try {
    const found = await read(key, (link) => readRow(link, key, clock, form));
    // Without an ETag it is a plain string by now.
    if (found === null || (found.etag === null && !tellsStrings(range))) return null;
    return { key, found };
  } catch (error) {
    if (error instanceof StoreError && error.code === "corrupt") return null;
    throw error;
  }
}

const CURSOR_MAX = 2n ** 64n - 1n;
const DIGEST_BYTES = 8;
const DIGEST_LETTERS = 11;

/** Any text may come in. A cursor that Redis never gave does no harm, but it must be one at all. */
function readPosition(after: string | null): Position {
  if (after === null) return { cursor: START, told: NONE };
  const [cursor = "", ...told] = after.split(".");
  const isCursor = cursor.length <= 20 && /^\d+$/.test(cursor) && BigInt(cursor) <= CURSOR_MAX;
  if (!isCursor || told.length > TOLD_MAX || told.some((each) => each.length !== DIGEST_LETTERS)) {
    throw new StoreError("refused", "the position of the page is none that redis gave");
  }
  return { cursor, told: new Set(told) };
}

/** Stands for a key in a position; keys can be long. */
function digest(key: string): string {
  return createHash("sha256").update(key).digest().toString("base64url", 0, DIGEST_BYTES);
}
