// The Store of state.sqlite on the event loop: calls become jobs for the database threads. Knows no SQL.
import { assert } from "#kit/assert.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type {
  Call,
  Change,
  Features,
  Found,
  KeyRange,
  Limits,
  ListPage,
  ListRequest,
  OpenContext,
  Read,
  Removal,
  Store,
  StoreError,
  Traits,
  Write,
} from "../store.ts";
import { type Lane, toStoreError } from "./lane.ts";
import type { CountStep, RowChange } from "./messages.ts";
import { CLEANUP_ROWS_MAX } from "./statements.ts";

export interface SqliteStoreOptions {
  readonly reads: Lane;
  /** The same lane as `reads` for a database in memory. */
  readonly writes: Lane;
  readonly context: OpenContext;
  /** Zero or less: never. */
  readonly cleanupIntervalMs: number;
  /** The data outlive the process. */
  readonly durable: boolean;
}

/** Keys of a bulk read that the reading thread gets at a time: other reads come between. */
export const BULK_KEYS_MAX = 256;

/** Rows that are deleted in one job of the writing thread. */
const REMOVED_ROWS_MAX = 1000;

/** Cleanup belongs to no caller. */
const NOBODY: AbortSignal = new AbortController().signal;

export class SqliteStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: true, list: true };
  readonly limits: Limits = { valueBytesMax: null, keyBytesMax: null, operationsMax: null, ttlSecMin: 1 };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];
  readonly defaultTtlSec = null;
  readonly traits: Traits;
  readonly #reads: Lane;
  readonly #writes: Lane;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #log: Log;
  readonly #cleanupIntervalMs: number;
  #cleanup: Timer | null = null;
  #closed = false;

  constructor(options: SqliteStoreOptions) {
    this.traits = traitsOf(options.durable);
    this.#reads = options.reads;
    this.#writes = options.writes;
    this.#clock = options.context.clock;
    this.#random = options.context.random;
    this.#log = options.context.log;
    this.#cleanupIntervalMs = options.cleanupIntervalMs;
    if (this.#cleanupIntervalMs > 0) this.#planCleanup();
  }

  get(key: string, _read: Read, call: Call): Promise<Found | null> {
    return this.#reads.run({ kind: "get", key }, call.signal);
  }

  /** In steps, which are not one snapshot: the contract asks for none. */
  async getMany(keys: readonly string[], _read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const distinct = [...new Set(keys)];
    const results = new Map<string, Found | null | StoreError>();
    while (results.size < distinct.length) {
      const step = distinct.slice(results.size, results.size + BULK_KEYS_MAX);
      const rows = await this.#reads.run({ kind: "getMany", keys: step }, call.signal);
      assert(rows.length > 0 && rows.length <= step.length, "a row or none for some of the keys");
      for (const [index, row] of rows.entries())
        results.set(step[index] ?? "", row !== null && "code" in row ? toStoreError(row) : row);
    }
    return keys.map((key) => results.get(key) ?? null);
  }

  set(write: Write, call: Call): Promise<void> {
    return this.#apply([this.#upsert(write)], call);
  }

  remove(removal: Removal, call: Call): Promise<void> {
    return this.#apply([removeRow(removal)], call);
  }

  transact(changes: readonly Change[], call: Call): Promise<void> {
    const rows = changes.map((change) =>
      change.kind === "upsert" ? this.#upsert(change.write) : removeRow(change.removal),
    );
    return this.#apply(rows, call);
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return this.#reads.run({ kind: "list", request }, call.signal);
  }

  /** In steps, between which other reads come: not one snapshot. */
  async count(range: KeyRange, call: Call): Promise<number> {
    let count = 0;
    let after: string | null = null;
    do {
      const step: CountStep = await this.#reads.run({ kind: "count", range, after }, call.signal);
      count += step.count;
      after = step.next;
    } while (after !== null);
    return count;
  }

  /** In steps, between which other writes come. */
  async removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    let removed = 0;
    while (removed < limit) {
      const step = Math.min(REMOVED_ROWS_MAX, limit - removed);
      const gone = await this.#writes.run({ kind: "removeRange", range, limit: step }, call.signal);
      removed += gone;
      if (gone < step) break;
    }
    return removed;
  }

  async ping(call: Call): Promise<void> {
    await this.#reads.run({ kind: "ping" }, call.signal);
  }

  /**
   * One thread after the other: the last one on the file moves the write-ahead log into it, and two that leave at the same
   * moment each take the other for the last.
   */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cleanup?.cancel();
    await this.#writes.close(this.#reads.close());
  }

  async #apply(changes: readonly RowChange[], call: Call): Promise<void> {
    await this.#writes.run({ kind: "apply", changes }, call.signal);
  }

  #upsert(write: Write): RowChange {
    return {
      key: write.key,
      // A copy: the bytes may be a window on a request body, and this memory moves to the thread.
      value: new Uint8Array(write.bytes),
      isJson: write.isJson,
      ifEtag: write.etag,
      ifAbsent: write.firstWrite && write.etag === null,
      newEtag: this.#random.uuid(),
      ttlSec: write.ttlSec,
    };
  }

  #planCleanup(): void {
    this.#cleanup = this.#clock.after(this.#cleanupIntervalMs, () => void this.#cleanUp());
  }

  /** Step by step, so that writes come between; the first step asks whether another sidecar was faster. */
  async #cleanUp(): Promise<void> {
    const intervalMs = this.#cleanupIntervalMs;
    try {
      let removed = await this.#writes.run({ kind: "cleanup", intervalMs, claim: true }, NOBODY);
      while (removed === CLEANUP_ROWS_MAX)
        removed = await this.#writes.run({ kind: "cleanup", intervalMs, claim: false }, NOBODY);
    } catch (error) {
      // Expired rows are not served, so the next turn is early enough.
      if (!this.#closed) this.#log.warn("cleanup of expired rows failed", { cause: String(error) });
    }
    if (!this.#closed) this.#planCleanup();
  }
}

/** First-write has no say in a delete (dapr-state-stores.md 1). */
function removeRow(removal: Removal): RowChange {
  return {
    key: removal.key,
    value: null,
    isJson: false,
    ifEtag: removal.etag,
    ifAbsent: false,
    newEtag: "",
    ttlSec: null,
  };
}

function traitsOf(durable: boolean): Traits {
  return {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable,
    listOrder: "key",
    queryStrings: "typed",
    strongRead: "every read sees every write acknowledged before it: there is one copy",
    strongWrite: durable
      ? "the write is flushed to the disk before its answer, unless the connection string lowers _pragma=synchronous"
      : "the write is in the process's memory; a restart loses it",
  };
}
