// Walks over keys: pages of the container's blobs, without those whose keys have a further "||". The service's order is
// nowhere promised, so its markers are what a walk goes on by, and a key may be told twice.
import {
  type Found,
  isInRange,
  LIST_BYTES_MAX,
  type ListedRow,
  type ListPage,
  type ListRequest,
  StoreError,
} from "../store.ts";
import type { ListAsked } from "./container.ts";
import { beginningOf, keyOf } from "./names.ts";
import type { BlobPage } from "./page.ts";

/** Requests that one page makes for names: among many keys of actors it may be short, or empty. */
const REQUESTS_MAX = 10;
/** Names of one request: the service's own limit. */
const NAMES_MAX = 5000;
/** Values of one page that are read at a time. */
const READS_MAX = 16;

export interface Reader {
  list(asked: ListAsked): Promise<BlobPage>;
  /** Null for one that is no longer there. */
  get(key: string): Promise<Found | null>;
}

/** Where a page of the service's begins, and what of it was told before. */
interface Position {
  readonly marker: string;
  /** The name that was told last, and how many came up to it; "" and 0 for none. */
  readonly last: string;
  readonly told: number;
}

const FIRST: Position = { marker: "", last: "", told: 0 };

export async function listPage(reader: Reader, request: ListRequest): Promise<ListPage> {
  const { keys, next } = await keysOf(reader, request);
  if (!request.values) return { rows: keys.map((key) => ({ key, found: null })), next };
  const rows: ListedRow[] = [];
  for (let at = 0; at < keys.length; at += READS_MAX) {
    const chunk = keys.slice(at, at + READS_MAX);
    const found = await Promise.all(chunk.map((key) => reader.get(key)));
    for (const [index, key] of chunk.entries()) {
      const value = found[index] ?? null;
      if (value !== null) rows.push({ key, found: value });
    }
  }
  return { rows, next };
}

async function keysOf(
  { list }: Reader,
  { range, after, limit, values }: ListRequest,
): Promise<{ readonly keys: readonly string[]; readonly next: string | null }> {
  const prefix = beginningOf(range.start);
  const keys: string[] = [];
  let bytes = 0;
  let position = after === null ? FIRST : readPosition(after);
  for (let requests = 0; requests < REQUESTS_MAX; requests++) {
    const max = Math.min(limit - keys.length + position.told, NAMES_MAX);
    const { blobs, next } = await list({ prefix, delimiter: "||", marker: position.marker, max });
    const { last } = position;
    // Where the last one told is gone, all are told again.
    const begin = last === "" ? 0 : blobs.findIndex(({ name }) => name === last) + 1;
    for (const [index, blob] of blobs.entries()) {
      if (index < begin) continue;
      const key = keyOf(blob.name);
      if (key === null || !isInRange(range, key)) continue;
      if (keys.length === limit || (values && bytes >= LIST_BYTES_MAX)) {
        const told = { marker: position.marker, last: blobs[index - 1]?.name ?? "", told: index };
        return { keys, next: writePosition(told) };
      }
      keys.push(key);
      bytes += blob.bytes;
    }
    if (next === "") return { keys, next: null };
    position = { marker: next, last: "", told: 0 };
    if (keys.length === limit) break;
  }
  return { keys, next: writePosition(position) };
}

function writePosition({ marker, last, told }: Position): string {
  return Buffer.from(JSON.stringify([marker, last, told])).toString("base64url");
}

/** Any text may come in as a position. */
function readPosition(text: string): Position {
  const [marker, last, told] = partsOf(text);
  const isCount = typeof told === "number" && Number.isInteger(told) && told >= 0 && told <= NAMES_MAX;
  if (typeof marker !== "string" || !marker.isWellFormed() || typeof last !== "string" || !isCount)
    throw new StoreError("refused", "the position of the page is none of this store");
  return { marker, last, told };
}

function partsOf(text: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return Array.isArray(parts) ? parts : [];
  } catch {
    // No JSON, so it was not written here.
    return [];
  }
}
