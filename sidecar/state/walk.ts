// Walks over the keys of one caller: a page of them, and their number. The bounds of every walk come from the caller's
// prefix, before which the Component's key prefix is put: nothing else can be reached.
import { type KeyRange, LIST_BYTES_MAX, type ListPage, type Store, StoreError, type Traits } from "../stores/store.ts";
import { invalid, StateError, type StateErrorCode } from "./errors.ts";
import { KeySet } from "./key-set.ts";
import { qualify } from "./keys.ts";
import { makePageToken, readPageToken, type TokenSubject, tokenSubject } from "./page-token.ts";
import { type BulkItem, type Caller, failure, type StateService, type StepRules, toBulkItem } from "./service.ts";
import type { StoreEntry } from "./table.ts";

/** Rows of a page when the request does not say, and at most. */
export const LIST_LIMIT_DEFAULT = 100;
export const LIST_LIMIT_MAX = 1000;
/** Pages of the store that one answer may take; where a store finds little in each, the answer is shorter. */
const STORE_PAGES_MAX = 8;
/** Rows that a walk to the end asks the store for at a time. */
export const WALK_PAGE_ROWS = 1000;
/** Keys that one count meets at most in a store that may tell a key twice. */
const COUNT_KEYS_MAX = 1_000_000;
/**
 * Pages that one walk to the end asks of a store. Where keys have no order a walk meets other applications' keys too, up to
 * 50,000 for a page of Redis, and most pages can be empty.
 */
const WALK_PAGES_MAX: Readonly<Record<Traits["listOrder"], number>> = { key: 10_000, none: 2000 };

/** Pages that a walk to the end may ask of this store. */
export function walkPagesMax({ store }: StoreEntry): number {
  return WALK_PAGES_MAX[store.traits.listOrder];
}

/** A page changes nothing and can be asked for again. */
const REPEATABLE: StepRules = { retry: null, conditional: false };

export interface ListKeysRequest {
  /** "" for all keys. */
  readonly prefix: string;
  /** Most rows of the page, 1 to {@link LIST_LIMIT_MAX}; null for {@link LIST_LIMIT_DEFAULT}. */
  readonly limit: number | null;
  /** Of the page before; "" for the first page. */
  readonly token: string;
  /** Give values, ETags and expiry. */
  readonly values: boolean;
  /**
   * Bytes that the values may have together, give or take one value; 0 for no limit. What a store gives at a time,
   * {@link LIST_BYTES_MAX}, a page has in any case.
   */
  readonly bytesMax: number;
}

export interface KeyPage {
  /** Keys without the Component's prefix; `found` only when values were asked for and there is no error. */
  readonly items: readonly BulkItem[];
  /** For the next page; null after the last one. A page before that may have fewer rows than asked for, or none. */
  readonly token: string | null;
}

/** A store that can be walked, and the part of its keys that a request is about. */
export interface Walk {
  readonly service: StateService;
  readonly entry: StoreEntry;
  readonly list: NonNullable<Store["list"]>;
  readonly range: KeyRange;
}

/**
 * A page of the keys that begin with a prefix: by their bytes where the store has an order, else in none, and then a key
 * may be told twice. Throws list-not-supported, illegal-key, or list-failed, which is of fault `invalid` for a limit or a
 * token that is none.
 */
export async function listKeys(
  service: StateService,
  storeName: string,
  request: ListKeysRequest,
  caller: Caller,
): Promise<KeyPage> {
  const walk = toWalk(service, storeName, request.prefix);
  const { entry } = walk;
  const { prefix, values, bytesMax } = request;
  const limit = checkedLimit(request.limit, {
    entry,
    code: "list-failed",
    usual: LIST_LIMIT_DEFAULT,
    max: LIST_LIMIT_MAX,
  });
  const subject = tokenSubject(entry, "keys", prefix);
  const after = readToken(entry, subject, request.token);
  try {
    const { rows, next } = await service.count(entry, "list", caller, () =>
      gather(walk, { after, limit, values, bytesMax }, caller),
    );
    const items = rows.map(({ key, found }) => toBulkItem(entry, key.slice(entry.keyPrefix.length), found));
    return { items, token: next === null ? null : makePageToken(subject, next) };
  } catch (error) {
    if (after !== null && error instanceof StoreError && error.code === "refused") throw badToken(entry);
    throw failure("list-failed", `failed listing keys in state store ${entry.name}`, error, entry);
  }
}

interface Wanted {
  readonly after: string | null;
  readonly limit: number;
  readonly values: boolean;
  readonly bytesMax: number;
}

/** Pages of the store put together to one, until it is full or the store finds too little. */
async function gather(walk: Walk, { after, limit, values, bytesMax }: Wanted, caller: Caller): Promise<ListPage> {
  const rows: ListPage["rows"][number][] = [];
  let next = after;
  let bytes = 0;
  for (let pages = 0; pages < STORE_PAGES_MAX; pages++) {
    const page = await nextPage(walk, { after: next, limit: limit - rows.length, values }, caller);
    for (const row of page.rows) {
      rows.push(row);
      bytes += row.found?.bytes.length ?? 0;
    }
    next = page.next;
    const mayOverflow = bytesMax > 0 && bytes > 0 && bytes + LIST_BYTES_MAX > bytesMax;
    if (next === null || rows.length >= limit || mayOverflow) break;
  }
  return { rows, next };
}

/** How many live keys begin with a prefix. Throws list-not-supported, illegal-key or count-failed. */
export async function countKeys(
  service: StateService,
  storeName: string,
  prefix: string,
  caller: Caller,
): Promise<number> {
  const walk = toWalk(service, storeName, prefix);
  const { entry, range } = walk;
  const count = entry.store.count?.bind(entry.store);
  try {
    return await service.count(entry, "count", caller, () =>
      count === undefined
        ? countByWalk(walk, caller)
        : service.attempt(entry, caller, REPEATABLE, (call) => count(range, call)),
    );
  } catch (error) {
    throw failure("count-failed", `failed counting keys in state store ${entry.name}`, error, entry);
  }
}

async function countByWalk(walk: Walk, caller: Caller): Promise<number> {
  const { entry } = walk;
  const different = entry.store.traits.listOrder === "none" ? new KeySet() : null;
  let count = 0;
  let after: string | null = null;
  for (let pages = 0; pages < walkPagesMax(entry); pages++) {
    const page: ListPage = await nextPage(walk, { after, limit: WALK_PAGE_ROWS, values: false }, caller);
    count += page.rows.length;
    for (const { key } of page.rows) different?.add(key);
    if (different !== null && different.size > COUNT_KEYS_MAX) throw tooManyKeys(entry);
    if (page.next === null) return different?.size ?? count;
    after = page.next;
  }
  throw invalid("count-failed", tooManyPages(entry), entry.name);
}

/** A store that is so large is not walked to its end: nobody waits for that, and the store should not. */
export function tooManyPages(entry: StoreEntry): string {
  return `walked ${walkPagesMax(entry)} pages of the keys of ${entry.type} and was not at their end: too many keys, of other applications too, to go through all of them in one request`;
}

function tooManyKeys(entry: StoreEntry): StateError {
  const text = `more than ${COUNT_KEYS_MAX} keys, which ${entry.type} can only count by walking over all of them; count longer prefixes one by one`;
  return invalid("count-failed", text, entry.name);
}

/** One page of the store, tried again as the Component's policies say. */
export function nextPage(
  { service, entry, list, range }: Walk,
  asked: { readonly after: string | null; readonly limit: number; readonly values: boolean },
  caller: Caller,
): Promise<ListPage> {
  return service.attempt(entry, caller, REPEATABLE, (call) => list({ range, ...asked }, call));
}

/** The walk over the keys that begin with `prefix`. Throws list-not-supported, or illegal-key for one with two bars. */
export function toWalk(service: StateService, storeName: string, prefix: string): Walk {
  const entry = service.find(storeName);
  const list = entry.store.list?.bind(entry.store);
  if (!entry.store.features.list || list === undefined) {
    const text = `state store ${entry.name} (${entry.type}) cannot walk over its keys`;
    throw new StateError("list-not-supported", "failed", text, { store: entry.name });
  }
  const start = qualify(entry.name, entry.keyPrefix, prefix);
  return { service, entry, list, range: { scope: entry.keyPrefix, start } };
}

export interface LimitRule {
  readonly entry: StoreEntry;
  readonly code: StateErrorCode;
  readonly usual: number;
  readonly max: number;
}

/** The number of rows that a request means. Throws `code` for one that is not from 1 to `max`. */
export function checkedLimit(limit: number | null, { entry, code, usual, max }: LimitRule): number {
  if (limit === null) return usual;
  if (Number.isInteger(limit) && limit >= 1 && limit <= max) return limit;
  throw invalid(code, `limit: got ${limit}, want a whole number from 1 to ${max}`, entry.name);
}

function readToken(entry: StoreEntry, subject: TokenSubject, token: string): string | null {
  if (token === "") return null;
  const position = readPageToken(subject, token);
  if (position === null) throw badToken(entry);
  return position;
}

function badToken(entry: StoreEntry): StateError {
  const text =
    "token: got one that was altered, or made for another store, prefix or app; want the one that the page before answered";
  return invalid("list-failed", text, entry.name);
}
