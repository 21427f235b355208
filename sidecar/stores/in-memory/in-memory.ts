// state.in-memory: a map in the sidecar's own process. The smallest driver, and the one to copy for a new store.
// Semantics: dapr-state-stores.md 15, except that an expired value counts as absent at once.

import type { FieldTable } from "#crds/fields.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { Features, KeyRange, Limits, ListedRow, ListPage, ListRequest, Traits, Write } from "../store.ts";
import {
  type Change,
  type Found,
  isInRange,
  LIST_BYTES_MAX,
  type OpenContext,
  type Removal,
  type Store,
  type StoreDriver,
  StoreError,
  storeDriver,
} from "../store.ts";
import { OrderedKeys, placeOf } from "./ordered-keys.ts";

/** It has nothing to configure. */
type InMemorySettings = Record<never, never>;

const fields: FieldTable<InMemorySettings> = {};

export const driver: StoreDriver = storeDriver<InMemorySettings>({
  type: "state.in-memory",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check: () => [],
  open: async (_settings, context) => {
    if (context.signal.aborted)
      throw new StoreError("unavailable", "the time to open the store was over before it began");
    return new InMemoryStore(context);
  },
});

interface Row {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly expiresAtMs: number | null;
}

const SWEEP_EVERY_MS = 1000;

class InMemoryStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: true, list: true };
  readonly limits: Limits = { valueBytesMax: null, keyBytesMax: null, operationsMax: null, ttlSecMin: 1 };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL", "DELETE_WITH_PREFIX", "KEYS_LIKE"];
  readonly defaultTtlSec = null;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: 1,
    durable: false,
    listOrder: "key",
    queryStrings: "typed",
    strongRead: "every read sees the last write: there is one copy",
    strongWrite: "the write is in the process's memory; a restart loses it",
  };
  readonly #rows = new Map<string, Row>();
  readonly #order = new OrderedKeys();
  readonly #clock: Clock;
  readonly #random: Random;
  #sweep: Timer;
  #closed = false;

  constructor(context: OpenContext) {
    this.#clock = context.clock;
    this.#random = context.random;
    this.#sweep = this.#clock.after(SWEEP_EVERY_MS, () => this.#removeExpired());
  }

  async get(key: string): Promise<Found | null> {
    this.#mustBeOpen();
    return this.#live(key);
  }

  async set(write: Write): Promise<void> {
    this.#mustBeOpen();
    this.#checkCondition(write.key, write.etag, write.firstWrite);
    this.#put(write);
  }

  async remove(removal: Removal): Promise<void> {
    this.#mustBeOpen();
    this.#checkCondition(removal.key, removal.etag, removal.firstWrite);
    this.#delete(removal.key);
  }

  async getMany(keys: readonly string[]): Promise<readonly (Found | null)[]> {
    this.#mustBeOpen();
    return keys.map((key) => this.#live(key));
  }

  /** Nothing awaits between the checks and the changes, so no other call can come between them. */
  async transact(changes: readonly Change[]): Promise<void> {
    this.#mustBeOpen();
    for (const [index, change] of changes.entries()) {
      const { key, etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
      this.#checkCondition(key, etag, firstWrite, `change ${index + 1} of ${changes.length}: `);
    }
    for (const change of changes) {
      if (change.kind === "upsert") this.#put(change.write);
      else this.#delete(change.removal.key);
    }
  }

  /** A position is the last key of the page. */
  async list({ range, after, limit, values }: ListRequest): Promise<ListPage> {
    this.#mustBeOpen();
    if (after !== null && !isInRange(range, after))
      throw new StoreError("refused", "the position of the page is none of this range");
    const keys = this.#order.sorted(this.#rows.keys());
    const rows: ListedRow[] = [];
    let bytes = 0;
    for (let at = placeOf(keys, after ?? range.start); at < keys.length; at++) {
      const key = keys[at] ?? "";
      if (!key.startsWith(range.start)) break;
      const row = this.#live(key);
      if (row === null || key === after || !isInRange(range, key)) continue;
      if (rows.length === limit || bytes >= LIST_BYTES_MAX) return { rows, next: rows.at(-1)?.key ?? null };
      rows.push({ key, found: values ? row : null });
      if (values) bytes += row.bytes.length;
    }
    return { rows, next: null };
  }

  async count(range: KeyRange): Promise<number> {
    this.#mustBeOpen();
    let count = 0;
    for (const [key, row] of this.#rows) if (isInRange(range, key) && !this.#isExpired(row)) count++;
    return count;
  }

  async removeRange(range: KeyRange, limit: number): Promise<number> {
    this.#mustBeOpen();
    let removed = 0;
    for (const [key, row] of this.#rows) {
      if (removed === limit) break;
      if (!isInRange(range, key) || this.#isExpired(row)) continue;
      this.#delete(key);
      removed++;
    }
    return removed;
  }

  async ping(): Promise<void> {
    this.#mustBeOpen();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#sweep.cancel();
    this.#rows.clear();
    this.#order.clear();
  }

  #live(key: string): Row | null {
    const row = this.#rows.get(key);
    return row === undefined || this.#isExpired(row) ? null : row;
  }

  #isExpired(row: Row): boolean {
    return row.expiresAtMs !== null && row.expiresAtMs <= this.#clock.nowMs();
  }

  #checkCondition(key: string, etag: string | null, firstWrite: boolean, place = ""): void {
    const row = this.#live(key);
    if (etag === null) {
      if (firstWrite && row !== null)
        throw new StoreError("etag-mismatch", `${place}item already exists and no etag was passed`);
      return;
    }
    if (row === null)
      throw new StoreError("etag-mismatch", `${place}there is no value under the key, or it has expired`);
    if (row.etag !== etag)
      throw new StoreError("etag-mismatch", `${place}the value has another etag than the one passed`);
  }

  #put(write: Write): void {
    const expiresAtMs = write.ttlSec === null ? null : this.#clock.nowMs() + write.ttlSec * 1000;
    const isNew = !this.#rows.has(write.key);
    // A copy: the caller's bytes may be a window on a larger request body that must not stay in memory.
    this.#rows.set(write.key, { bytes: Uint8Array.from(write.bytes), etag: this.#random.uuid(), expiresAtMs });
    if (isNew) this.#order.add(write.key);
  }

  #delete(key: string): void {
    if (this.#rows.delete(key)) this.#order.remove(this.#rows.size);
  }

  #removeExpired(): void {
    for (const [key, row] of this.#rows) if (this.#isExpired(row)) this.#delete(key);
    this.#sweep = this.#clock.after(SWEEP_EVERY_MS, () => this.#removeExpired());
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new StoreError("closed", "the store was closed");
  }
}
