// The Store of state.gcp.firestore: calls become lookups by key and commits of Datastore's.
import type { Clock } from "#kit/clock.ts";
import type { EntityResult } from "#proto/gen/clients/google/datastore/v1/datastore.ts";
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
  StoreError,
  Traits,
  Write,
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
  readonly traits: Traits = traitsOf("every read sees each write that was answered before it, wherever that was made");
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
      return entity === undefined ? null : foundOrError(() => foundOf(entity));
    });
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

  #how(call: Call): How {
    return howOf(call, this.#parts.clock, this.#parts.timeoutMs);
  }
}
