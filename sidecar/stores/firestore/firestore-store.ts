// The Store of state.gcp.firestore: calls become lookups by key and commits of Datastore's.
import type { Clock } from "#kit/clock.ts";
import type { EntityResult } from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import type { GoogleClient, How } from "../google/client.ts";
import {
  type Call,
  type Change,
  type Features,
  type Found,
  type Limits,
  type ListPage,
  type ListRequest,
  type Read,
  type Removal,
  type Store,
  StoreError,
  type Traits,
  type Write,
} from "../store.ts";
import type { Calls } from "./calls.ts";
import { CHANGES_MAX, removalOf, workOf } from "./changes.ts";
import { foundOf, isName, KEY_BYTES_MAX, VALUE_BYTES_MAX } from "./layout.ts";
import type { Transactions } from "./transaction.ts";
import { listPage } from "./walk.ts";

export interface FirestoreStoreParts {
  readonly client: GoogleClient;
  readonly calls: Calls;
  readonly transactions: Transactions;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** Looked up to see that server, rights and project are there; whether it exists does not matter. */
const PING_NAME = "ping";

export class FirestoreStore implements Store {
  /** No TTL: the layout has no place for it, and Dapr's driver reads no entity with a second property. */
  readonly features: Features = { etag: true, transactions: true, ttl: false, list: true };
  readonly limits: Limits = {
    valueBytesMax: VALUE_BYTES_MAX,
    keyBytesMax: KEY_BYTES_MAX,
    operationsMax: CHANGES_MAX,
    ttlSecMin: 1,
  };
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: 1,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
    strongRead: "every read sees each write that was answered before it, wherever that was made",
    strongWrite: "every write is answered when most replicas have it on their disks",
  };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "KEYS_LIKE"];
  readonly defaultTtlSec = null;
  readonly #parts: FirestoreStoreParts;

  constructor(parts: FirestoreStoreParts) {
    this.#parts = parts;
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    const entity = (await this.#lookup([key], call)).get(key);
    return entity === undefined ? null : foundOf(entity);
  }

  async getMany(keys: readonly string[], _read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const entities = await this.#lookup([...new Set(keys)], call);
    return keys.map((key) => {
      const entity = entities.get(key);
      return entity === undefined ? null : foundOrError(entity);
    });
  }

  set(write: Write, call: Call): Promise<void> {
    return this.#apply([{ kind: "upsert", write }], true, call);
  }

  remove(removal: Removal, call: Call): Promise<void> {
    return this.#apply([{ kind: "delete", removal }], true, call);
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    if (changes.length > CHANGES_MAX)
      throw new StoreError("refused", `a transaction of ${changes.length} changes, want at most ${CHANGES_MAX}`);
    await this.#apply(changes, false, call);
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return listPage(this.#parts.calls, request, this.#how(call));
  }

  async removeListed(keys: readonly string[], call: Call): Promise<number> {
    const { calls, transactions } = this.#parts;
    const how = this.#how(call);
    let removed = 0;
    for (let at = 0; at < keys.length; at += CHANGES_MAX)
      removed += await transactions.run(removalOf(calls.layout, keys.slice(at, at + CHANGES_MAX)), how);
    return removed;
  }

  async ping(call: Call): Promise<void> {
    await this.#lookup([PING_NAME], call);
  }

  async close(): Promise<void> {
    this.#parts.client.close();
  }

  async #apply(changes: readonly Change[], alone: boolean, call: Call): Promise<void> {
    const { calls, transactions } = this.#parts;
    await transactions.run(workOf(calls.layout, changes, alone), this.#how(call));
  }

  /** Under a key that can be no name there is nothing, and Datastore is not asked. */
  #lookup(keys: readonly string[], call: Call): Promise<ReadonlyMap<string, EntityResult>> {
    return this.#parts.calls.lookup(keys.filter(isName), this.#how(call));
  }

  #how({ signal }: Call): How {
    const { clock, timeoutMs } = this.#parts;
    return { signal, deadlineMs: clock.monotonicMs() + timeoutMs, headers: [] };
  }
}

function foundOrError(entity: EntityResult): Found | StoreError {
  try {
    return foundOf(entity);
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}
