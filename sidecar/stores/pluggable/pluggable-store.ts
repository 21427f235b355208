// The Store of a pluggable component: each call of the contract is one call of its. What it declares it is taken at its
// word for; what it does not declare is refused by the core, as on every store.
import {
  type Call,
  type Change,
  type Features,
  type Found,
  type Limits,
  type Read,
  type Removal,
  type Store,
  StoreError,
  type StoreQuery,
  type StoreQueryPage,
  type Traits,
  type Write,
} from "../store.ts";
import { NotServed } from "./failures.ts";
import type { Link } from "./link.ts";
import { deleteRequest, foundIn, getRequest, operation, queryRequest, setRequest } from "./messages.ts";
import { BULK_GET, DELETE, GET, PING, QUERY, SET, TRANSACT } from "./methods.ts";

export interface PluggableStoreParts {
  readonly link: Link;
  /** "pluggable component foo". */
  readonly who: string;
  /** The component's own words for what it can do. */
  readonly capabilities: readonly string[];
  /** Most operations of a transaction, or null when it names none. */
  readonly operationsMax: number | null;
}

/** Gets that are under way at once, for a component that does not serve BulkGet. */
const GETS_AT_ONCE = 10;

const THE_COMPONENTS_WORD = "is what the component makes of the word";

export class PluggableStore implements Store {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    // Nobody knows what a component's ETags look like.
    etagMayBeQuoted: true,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: `a strong read ${THE_COMPONENTS_WORD}`,
    strongWrite: `a strong write ${THE_COMPONENTS_WORD}`,
  };
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  // Present exactly where the component declares them; the constructor sets them.
  readonly transact?: NonNullable<Store["transact"]>;
  readonly query?: NonNullable<Store["query"]>;
  readonly #parts: PluggableStoreParts;
  #hasBulkGet = true;

  constructor(parts: PluggableStoreParts) {
    this.#parts = parts;
    const { capabilities, operationsMax } = parts;
    const can = (word: string): boolean => capabilities.includes(word);
    this.capabilities = capabilities;
    this.features = { etag: can("ETAG"), transactions: can("TRANSACTIONAL"), ttl: can("TTL"), list: false };
    this.limits = { valueBytesMax: null, keyBytesMax: null, operationsMax, ttlSecMin: 1 };
    if (can("TRANSACTIONAL")) this.transact = (changes, call) => this.#transact(changes, call);
    if (can("QUERY_API")) this.query = (query, call) => this.#query(query, call);
  }

  async get(key: string, read: Read, { signal }: Call): Promise<Found | null> {
    return this.#told(foundIn(await this.#parts.link.send(GET, getRequest(key, read), signal)));
  }

  async set(write: Write, { signal }: Call): Promise<void> {
    await this.#parts.link.send(SET, setRequest(write), signal);
  }

  async remove(removal: Removal, { signal }: Call): Promise<void> {
    await this.#parts.link.send(DELETE, deleteRequest(removal), signal);
  }

  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const different = [...new Set(keys)];
    const byKey = this.#hasBulkGet ? await this.#bulkGet(different, read, call) : null;
    const found = byKey ?? (await this.#getEach(different, read, call));
    return keys.map((key) => found.get(key) ?? null);
  }

  async ping({ signal }: Call): Promise<void> {
    await this.#parts.link.send(PING, {}, signal);
  }

  async close(): Promise<void> {
    this.#parts.link.close();
  }

  async #transact(changes: readonly Change[], { signal }: Call): Promise<void> {
    const { operationsMax } = this.#parts;
    if (operationsMax !== null && changes.length > operationsMax)
      throw new StoreError("refused", `a transaction of ${changes.length} changes, want at most ${operationsMax}`);
    const request = { operations: changes.map(operation), metadata: {} };
    await this.#parts.link.send(TRANSACT, request, signal);
  }

  async #query(query: StoreQuery, { signal }: Call): Promise<StoreQueryPage> {
    const { items, token } = await this.#parts.link.send(QUERY, queryRequest(query), signal);
    const rows = items.flatMap(({ key, data, etag, error }) => {
      if (error !== "") throw this.#unread(error);
      const found = this.#told(foundIn({ data, etag, metadata: {} }));
      return found === null ? [] : [{ key, found }];
    });
    return { rows, token };
  }

  /** Null when the component does not serve it, which is then not asked again. */
  async #bulkGet(keys: readonly string[], read: Read, { signal }: Call): Promise<Map<string, Answer> | null> {
    try {
      const request = { items: keys.map((key) => getRequest(key, read)), options: { parallelism: GETS_AT_ONCE } };
      const { items } = await this.#parts.link.send(BULK_GET, request, signal);
      return new Map(
        items.map((item) => [item.key, item.error === "" ? this.#told(foundIn(item)) : this.#unread(item.error)]),
      );
    } catch (error) {
      if (!(error instanceof NotServed)) throw error;
      this.#hasBulkGet = false;
      return null;
    }
  }

  async #getEach(keys: readonly string[], read: Read, call: Call): Promise<Map<string, Answer>> {
    const waiting = [...keys];
    const found = new Map<string, Answer>();
    const worker = async (): Promise<void> => {
      for (let key = waiting.shift(); key !== undefined; key = waiting.shift())
        found.set(key, await this.get(key, read, call).catch(asItem));
    };
    await Promise.all(Array.from({ length: Math.min(GETS_AT_ONCE, keys.length) }, worker));
    return found;
  }

  /** Without the ETag that a component answers and does not declare: the core would promise what is not kept. */
  #told(found: Found | null): Found | null {
    return found === null || this.features.etag ? found : { ...found, etag: null };
  }

  #unread(words: string): StoreError {
    return new StoreError("failed", `${this.#parts.who}: ${words}`);
  }
}

type Answer = Found | null | StoreError;

function asItem(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  throw error;
}
