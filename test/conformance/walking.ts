// What the cases about walks over keys share: walking to the end, and what was told on the way.
import assert from "node:assert/strict";
import type { Narrowing } from "#sidecar/stores/narrowing.ts";
import type { KeyRange, ListedRow, ListPage, ListRequest, Store } from "#sidecar/stores/store.ts";
import type { Context } from "./case.ts";
import { call, json, write } from "./requests.ts";
import { isOrdered } from "./subject.ts";
import { takesBars } from "./surface.ts";

export const SCOPE = "conformance||";
/** A walk that needs more pages than this does not end. */
const PAGES_MAX = 100_000;

/** The case's own keys that begin with `beginning`. */
export function rangeOf({ key }: Context, beginning = ""): KeyRange {
  return { scope: SCOPE, start: key(beginning) };
}

export async function listPage(store: Store, request: ListRequest): Promise<ListPage> {
  assert.ok(store.list !== undefined, "the store declares list and has none");
  const page = await store.list(request, call());
  assert.ok(page.rows.length <= request.limit, `a page of ${page.rows.length} rows, want at most ${request.limit}`);
  return page;
}

export interface Walking {
  readonly limit?: number;
  readonly values?: boolean;
  readonly where?: Narrowing | null;
  /** Called before each page but the first. */
  readonly between?: () => Promise<void>;
}

export async function walk(store: Store, range: KeyRange, options: Walking = {}): Promise<readonly ListedRow[]> {
  const rows: ListedRow[] = [];
  let after: string | null = null;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    if (after !== null) await options.between?.();
    const { limit = 100, values = false, where = null } = options;
    const page = await listPage(store, { range, after, limit, values, where });
    rows.push(...page.rows);
    after = page.next;
    if (after === null) return rows;
  }
  assert.fail(`the walk has not ended after ${PAGES_MAX} pages`);
}

/** The endings of the keys that a walk tells, ordered by their bytes where the store has no order itself. */
export async function told(context: Context, range: KeyRange, options: Walking = {}): Promise<readonly string[]> {
  const start = context.key("");
  const endings = (await walk(context.store, range, options)).map(({ key }) => key.slice(start.length));
  return isOrdered(context.subject) ? endings : byBytes(new Set(endings));
}

export function byBytes(texts: Iterable<string>): string[] {
  return [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

export async function setAll({ store, key }: Context, endings: readonly string[]): Promise<void> {
  await Promise.all(endings.map((ending) => store.set(write(key(ending), json(ending)), call())));
}

/** Endings with two bars, where the store can be given such keys at all. */
export function barred({ subject }: Context, ...endings: readonly string[]): readonly string[] {
  return takesBars(subject) ? endings : [];
}

export function numbered(count: number, beginning = ""): string[] {
  return Array.from({ length: count }, (_, index) => `${beginning}${String(index).padStart(5, "0")}`);
}
