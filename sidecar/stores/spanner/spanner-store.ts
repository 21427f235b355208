// The Store of state.gcp.spanner: calls become reads by key and commits of Spanner's.
import type { Clock } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { GoogleClient, How } from "../google/client.ts";
import { foundOrError, howOf, mustFit, traitsOf } from "../google/stores.ts";
import type {
  Call,
  Change,
  Features,
  Found,
  Limits,
  ListPage,
  ListRequest,
  Read,
  Removal,
  Store,
  Traits,
  Write,
} from "../store.ts";
import { StoreError } from "../store.ts";
import { type Calls, STRONG, stale } from "./calls.ts";
import { CHANGES_MAX, KEY_BYTES_MAX, removalOf, VALUE_BYTES_MAX, workOf } from "./changes.ts";
import { FOUND_COLUMNS, keySet, mustBeText, noText, type Row, toStored } from "./rows.ts";
import { KEYS_MAX, type Transactions } from "./transaction.ts";
import { listPage } from "./walk.ts";

export interface SpannerStoreParts {
  readonly client: GoogleClient;
  readonly calls: Calls;
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly random: Random;
  readonly timeoutMs: number;
  /** 0: every read is strong. */
  readonly maxStalenessMs: number;
}

export class SpannerStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: true, list: true };
  readonly limits: Limits = {
    valueBytesMax: VALUE_BYTES_MAX,
    keyBytesMax: KEY_BYTES_MAX,
    operationsMax: CHANGES_MAX,
    ttlSecMin: 1,
  };
  readonly traits: Traits = traitsOf("the read sees each write that was answered before it, wherever that was made");
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];
  readonly defaultTtlSec = null;
  readonly #parts: SpannerStoreParts;

  constructor(parts: SpannerStoreParts) {
    this.#parts = parts;
  }

  async get(key: string, read: Read, call: Call): Promise<Found | null> {
    mustBeText(key);
    const [found = null] = await this.#found([key], read, this.#how(call));
    if (found instanceof StoreError) throw found;
    return found;
  }

  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const how = this.#how(call);
    const found = new Map<string, Found | null | StoreError>();
    const different = [...new Set(keys)].filter((key) => {
      if (!key.isWellFormed()) found.set(key, noText());
      return key.isWellFormed();
    });
    for (let at = 0; at < different.length; at += KEYS_MAX) {
      const chunk = different.slice(at, at + KEYS_MAX);
      for (const [index, each] of (await this.#found(chunk, read, how)).entries()) found.set(chunk[index] ?? "", each);
    }
    return keys.map((key) => found.get(key) ?? null);
  }

  set(write: Write, call: Call): Promise<void> {
    return this.#apply([{ kind: "upsert", write }], true, call);
  }

  remove(removal: Removal, call: Call): Promise<void> {
    return this.#apply([{ kind: "delete", removal }], true, call);
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    mustFit(changes, CHANGES_MAX);
    await this.#apply(changes, false, call);
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return listPage(this.#parts.calls, request, this.#how(call));
  }

  removeListed(keys: readonly string[], call: Call): Promise<number> {
    const { calls, transactions } = this.#parts;
    return transactions.run(removalOf(calls.table, keys), this.#how(call));
  }

  /** A read of the table: it tells that server, rights and layout are there. */
  async ping(call: Call): Promise<void> {
    await this.#found([""], { strong: true, metadata: {} }, this.#how(call));
  }

  async close(): Promise<void> {
    this.#parts.client.close();
  }

  async #apply(changes: readonly Change[], alone: boolean, call: Call): Promise<void> {
    const { calls, transactions, random } = this.#parts;
    await transactions.run(workOf(changes, { table: calls.table, random, alone }), this.#how(call));
  }

  /** One per key, of which no two are equal. Only live rows, by the server's time of the read. */
  async #found(keys: readonly string[], { strong }: Read, how: How): Promise<(Found | null | StoreError)[]> {
    const { calls, maxStalenessMs } = this.#parts;
    let rows = new Map<string, Found | StoreError>();
    const begin = (): ((row: Row) => boolean) => {
      rows = new Map();
      return (row) => {
        rows.set(
          row[0] ?? "",
          foundOrError(() => toStored(row).found),
        );
        return true;
      };
    };
    const options = strong || maxStalenessMs === 0 ? STRONG : stale(maxStalenessMs);
    const request = { columns: FOUND_COLUMNS, keySet: keySet(keys), limit: 0, options };
    const { atMs } = await calls.rows(request, how, begin);
    return keys.map((key) => {
      const found = rows.get(key) ?? null;
      if (found === null || found instanceof StoreError || found.expiresAtMs === null) return found;
      if (atMs === null) return new StoreError("failed", "spanner told no time of a read");
      return found.expiresAtMs > atMs ? found : null;
    });
  }

  #how(call: Call): How {
    return howOf(call, this.#parts.clock, this.#parts.timeoutMs);
  }
}
