// The Store of state.mongodb: calls become commands on documents of Dapr's layout. What differs from Dapr on purpose is in
// docs/stores/mongodb.md.
import type { Collection, Document, MongoClient, WriteConcernSettings } from "mongodb";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import {
  type Call,
  type Features,
  type Found,
  type KeyRange,
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
import type { Attempt, Calls } from "./calls.ts";
import {
  capabilitiesOf,
  featuresOf,
  limits,
  mustBeText,
  noText,
  type ReadRow,
  type Row,
  readRow,
  traits,
} from "./layout.ts";
import type { ServerClock } from "./server-clock.ts";
import { countRange, listPage, removeKeys } from "./walk.ts";
import { live, optional, over, toFields, update } from "./writes.ts";

export interface MongodbStoreParts {
  readonly client: MongoClient;
  readonly collection: Collection<Row>;
  readonly calls: Calls;
  readonly time: ServerClock;
  /** Of the writes that ask for strong consistency. */
  readonly strongConcern: WriteConcernSettings;
  readonly clock: Clock;
  readonly random: Random;
}

/** Keys that one call asks for, and their bytes: a command is a document, and has an end. */
const KEYS_MAX = 1000;
const KEYS_BYTES_MAX = 1024 * 1024;
/** The client's farewell to a server that hangs is not waited for. */
const FAREWELL_MS = 2_000;

export class MongodbStore implements Store {
  readonly features: Features;
  readonly limits: Limits = limits;
  readonly traits: Traits = traits;
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  protected readonly parts: MongodbStoreParts;

  constructor(parts: MongodbStoreParts, features: Features = featuresOf(false)) {
    this.parts = parts;
    this.features = features;
    this.capabilities = capabilitiesOf(features);
  }

  async get(key: string, { strong }: Read, call: Call): Promise<Found | null> {
    mustBeText(key);
    const [row] = await this.#find([key], strong, call);
    const found = row === undefined ? null : this.#live(row);
    if (found instanceof StoreError) throw found;
    return found;
  }

  async set(write: Write, call: Call): Promise<void> {
    const { key, etag, firstWrite } = write;
    mustBeText(key);
    if (etag !== null) return this.#replace(write, etag, call);
    if (firstWrite) return this.#create(write, call);
    // Two that create the same document can meet; then it is there, and is updated.
    await this.#update(write, { upsert: true, again: true, filter: () => ({ _id: key }) }, call);
  }

  /** First-write has no say in a delete (dapr-state-stores.md 1). */
  async remove({ key, etag, strong }: Removal, call: Call): Promise<void> {
    mustBeText(key);
    const { collection, time } = this.parts;
    const task = async ({ session }: Attempt): Promise<number> => {
      const filter = etag === null ? { _id: key } : { _id: key, _etag: etag, ...live(time) };
      return (await collection.deleteOne(filter, optional(session, this.#concern(strong)))).deletedCount;
    };
    const removed = await this.parts.calls.run({ isWrite: true, call, task });
    if (etag !== null && removed === 0) throw otherEtag();
  }

  /** In lists, which are not one snapshot: the contract asks for none. */
  async getMany(
    keys: readonly string[],
    { strong }: Read,
    call: Call,
  ): Promise<readonly (Found | null | StoreError)[]> {
    const distinct = [...new Set(keys)].filter((key) => key.isWellFormed());
    const rows = await this.#find(distinct, strong, call);
    const answers = new Map(rows.map((row) => [row.key, this.#live(row)]));
    return keys.map((key) => (key.isWellFormed() ? (answers.get(key) ?? null) : noText()));
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    const { collection, time, calls } = this.parts;
    const task = ({ leftMs }: Attempt): Promise<ListPage> => listPage({ collection, time, leftMs }, request);
    return calls.run({ isWrite: false, call, task });
  }

  count(range: KeyRange, call: Call): Promise<number> {
    const { collection, time, calls } = this.parts;
    const task = ({ leftMs }: Attempt): Promise<number> => countRange({ collection, time, leftMs }, range);
    return calls.run({ isWrite: false, call, task });
  }

  removeListed(keys: readonly string[], call: Call): Promise<number> {
    const { collection, calls } = this.parts;
    // Of all attempts: another one goes on where the one before it ended.
    const chunks = [...chunksOf(keys)];
    let removed = 0;
    const task = async ({ session }: Attempt): Promise<number> => {
      for (let [chunk] = chunks; chunk !== undefined; [chunk] = chunks) {
        removed += await removeKeys(collection, chunk, session);
        chunks.shift();
      }
      return removed;
    };
    return calls.run({ isWrite: true, call, task });
  }

  async ping(call: Call): Promise<void> {
    const { collection, calls } = this.parts;
    await calls.run({ isWrite: false, call, task: () => collection.db.command({ ping: 1 }) });
  }

  async close(): Promise<void> {
    const { client, calls, time, clock } = this.parts;
    calls.close();
    time.close();
    const farewell = new AbortController();
    const closed = client.close().finally(() => farewell.abort());
    await Promise.race([closed, sleep(clock, FAREWELL_MS, farewell.signal)]);
  }

  async #replace(write: Write, etag: string, call: Call): Promise<void> {
    const filter = (): Document => ({ _id: write.key, _etag: etag, ...live(this.parts.time) });
    if ((await this.#update(write, { upsert: false, again: false, filter }, call)) === 0) throw otherEtag();
  }

  /** Over a document whose time is over, or a new one: where a live one is, the insert meets its key. */
  async #create(write: Write, call: Call): Promise<void> {
    try {
      const filter = (): Document => ({ _id: write.key, ...over(this.parts.time) });
      await this.#update(write, { upsert: true, again: false, filter }, call);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== "etag-mismatch") throw error;
      throw new StoreError("etag-mismatch", "item already exists and no etag was passed");
    }
  }

  #update(
    write: Write,
    { filter, upsert, again }: { filter: () => Document; upsert: boolean; again: boolean },
    call: Call,
  ): Promise<number> {
    const { collection, calls } = this.parts;
    const fields = toFields(write, this.parts);
    const writeConcern = this.#concern(write.strong);
    return calls.run({
      isWrite: true,
      call,
      again,
      task: ({ session }) => update(collection, { filter: filter(), fields, upsert, session, writeConcern }),
    });
  }

  async #find(keys: readonly string[], strong: boolean, call: Call): Promise<readonly ReadRow[]> {
    const { collection, calls } = this.parts;
    const options = strong ? ({ raw: true, readPreference: "primary" } as const) : { raw: true };
    const task = async ({ leftMs }: Attempt): Promise<readonly ReadRow[]> => {
      const rows: ReadRow[] = [];
      for (const chunk of chunksOf(keys)) {
        const filter = { _id: chunk.length === 1 ? chunk[0] : { $in: [...chunk] } };
        const found = collection.find<Uint8Array>(filter as Document, { ...options, maxTimeMS: leftMs() });
        for await (const document of found) rows.push(readRow(document));
      }
      return rows;
    };
    return calls.run({ isWrite: false, call, task });
  }

  /** What a row tells a reader; null once its time is over. */
  #live({ found }: ReadRow): Found | null | StoreError {
    if (found instanceof StoreError || found.expiresAtMs === null) return found;
    return found.expiresAtMs <= this.parts.time.earliestMs() ? null : found;
  }

  #concern(strong: boolean): WriteConcernSettings | null {
    return strong ? this.parts.strongConcern : null;
  }
}

/** Keys in lists that fit into a command. */
export function* chunksOf(keys: readonly string[]): Generator<readonly string[]> {
  let chunk: string[] = [];
  let bytes = 0;
  for (const key of keys) {
    const size = Buffer.byteLength(key);
    if (chunk.length === KEYS_MAX || (chunk.length > 0 && bytes + size > KEYS_BYTES_MAX)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(key);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

function otherEtag(): StoreError {
  return new StoreError("etag-mismatch", "the value has another etag than the one passed, or there is none");
}
