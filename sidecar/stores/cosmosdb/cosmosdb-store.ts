// The Store of state.azure.cosmosdb: calls become requests for documents. What differs from Dapr on purpose is in
// docs/stores/azure.cosmosdb.md.
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
  Metadata,
  Read,
  Removal,
  Store,
  Traits,
  Write,
} from "../store.ts";
import { StoreError } from "../store.ts";
import { type BatchOutcome, readBatchAnswer } from "./batch-answer.ts";
import type { CosmosClient, CosmosRequest } from "./client.ts";
import { exists, isEtag, mismatch, missing } from "./conditions.ts";
import { strangeError } from "./failures.ts";
import {
  corruptError,
  idOf,
  KEY_BYTES_MAX,
  type Layout,
  partitionOf,
  readDocument,
  type StoredDocument,
  toDocument,
  toFound,
  VALUE_BYTES_MAX,
} from "./layout.ts";
import type { HttpAnswer } from "./link.ts";
import { type Batch, commonPartition, OPERATIONS_MAX, planOf, toBatch } from "./transaction.ts";
import { documentsOf, IDS_MAX, listPage, type Place, rangePlaces } from "./walk.ts";

export interface CosmosStoreParts {
  readonly client: CosmosClient;
  readonly layout: Layout;
  readonly random: Random;
}

/** Times are whole seconds of the server's clock. */
const EXPIRY_STEP_MS = 1000;
/** Deletes of a range under way at a time. */
const DELETES_AT_ONCE = 16;

/** What a request leaves out where it has nothing to say. */
const PLAIN: Pick<CosmosRequest, "headers" | "body" | "check"> = { headers: {}, body: null, check: null };

export class CosmosStore implements Store {
  readonly features: Features;
  readonly limits: Limits = {
    valueBytesMax: VALUE_BYTES_MAX,
    keyBytesMax: KEY_BYTES_MAX,
    operationsMax: OPERATIONS_MAX,
    ttlSecMin: 1,
  };
  readonly traits: Traits = {
    values: "json-equal",
    foreignEtag: "mismatch",
    etagMayBeQuoted: true,
    firstWriteDelete: "conflict",
    ttlStepMs: EXPIRY_STEP_MS,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead:
      "the same as any read: at the account's consistency level, and at Session it sees this sidecar's own writes",
    strongWrite: "the same as any write: it is answered when the account's consistency level holds for it",
  };
  readonly capabilities: readonly string[];
  readonly defaultTtlSec: number | null;
  readonly #client: CosmosClient;
  readonly #layout: Layout;
  readonly #random: Random;

  constructor({ client, layout, random }: CosmosStoreParts) {
    const { expiry } = layout;
    const ttl = expiry.kind !== "off";
    this.features = { etag: true, transactions: true, ttl, list: true };
    this.capabilities = ["ETAG", "TRANSACTIONAL", "QUERY_API", ...(ttl ? ["TTL"] : []), "PARTITION_KEY"];
    this.defaultTtlSec = expiry.kind === "always" ? expiry.defaultSec : null;
    this.#client = client;
    this.#layout = layout;
    this.#random = random;
  }

  async get(key: string, { metadata }: Read, call: Call): Promise<Found | null> {
    const place = placeOf(key, metadata);
    const request = { ...PLAIN, method: "GET" as const, ...targetOf(place), isWrite: false };
    const answer = await this.#client.send(request, call);
    return answer.status === 404 ? null : this.#found(answer);
  }

  async set(write: Write, call: Call): Promise<void> {
    const { etag, firstWrite, key, metadata } = write;
    if (etag !== null && !isEtag(etag)) throw mismatch();
    const place = placeOf(key, metadata);
    const body = toDocument(write, this.#layout);
    if (etag !== null) {
      const headers = { "if-match": etag };
      const replace = { ...PLAIN, method: "PUT" as const, ...targetOf(place), headers, body, isWrite: true };
      const { status } = await this.#client.send(replace, call);
      if (status === 404) throw missing();
      if (status === 412) throw mismatch();
      return this.#mustBeDone(status);
    }
    const target = { kind: "documents" as const };
    const headers: Record<string, string> = firstWrite ? {} : { "x-ms-documentdb-is-upsert": "True" };
    const { partition } = place;
    const create = { ...PLAIN, method: "POST" as const, target, partition, headers, body, isWrite: true };
    const { status } = await this.#client.send(create, call);
    if (status === 409 && firstWrite) throw exists();
    this.#mustBeDone(status);
  }

  async remove({ key, etag, firstWrite, metadata }: Removal, call: Call): Promise<void> {
    if (etag !== null && !isEtag(etag)) throw mismatch();
    const place = placeOf(key, metadata);
    // An ETag that no document has: the delete finds nothing, or it is refused.
    const wanted = etag ?? (firstWrite ? `"${this.#random.uuid()}"` : null);
    const status = await this.#delete(place, wanted, call);
    if (status === 404 && etag !== null) throw missing();
    if (status === 412) throw etag === null ? exists() : mismatch();
    if (status !== 404) this.#mustBeDone(status);
  }

  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const places = new Map(keys.map((key) => [key, orRefusal(() => placeOf(key, read.metadata))]));
    const keyByPlace = new Map<string, string>();
    for (const [key, place] of places) if (!(place instanceof StoreError)) keyByPlace.set(placeText(place), key);
    const [only] = keyByPlace.values();
    const found =
      keyByPlace.size === 1 && only !== undefined
        ? new Map([[only, await this.#oneOfMany(only, read, call)]])
        : await this.#foundByKey(keyByPlace, read, call);
    return keys.map((key) => {
      const place = places.get(key);
      return place instanceof StoreError ? place : (found.get(key) ?? null);
    });
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const plans = planOf(changes);
    if (plans.length === 0) return;
    const partition = commonPartition(changes);
    // Deletes that find nothing are rare, and sending each with a step before it costs as much as a write.
    for (const deletesMayMiss of [false, true]) {
      const batch = toBatch(partition, plans, { layout: this.#layout, deletesMayMiss });
      if ((await this.#apply(batch, partition, call)) === "applied") return;
    }
    throw new StoreError("failed", `Cosmos DB at ${this.#client.server} applied nothing of the transaction`);
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return listPage(this.#client, this.#layout, request, call);
  }

  /** In the partition of each document, whichever that is. */
  async removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    let removed = 0;
    let after: string | null = null;
    do {
      const page = await rangePlaces(this.#client, range, { after, limit: limit - removed }, call);
      removed += await this.#deleteAll(page.places, call);
      after = page.next;
    } while (after !== null && removed < limit);
    return removed;
  }

  async ping(call: Call): Promise<void> {
    const target = { kind: "container" as const };
    await this.#client.send({ ...PLAIN, method: "GET", target, partition: null, isWrite: false }, call);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  #found({ body }: HttpAnswer): Found {
    let document: unknown = null;
    try {
      document = JSON.parse(body.toString());
    } catch {
      // The parser's own words would show a part of the value.
      throw strangeError(this.#client.server, false);
    }
    return this.#read(readDocument(document));
  }

  #read(document: StoredDocument | null): Found {
    if (document === null) throw corruptError("it has no value, or no partitionKey");
    return toFound(document, this.#layout);
  }

  async #oneOfMany(key: string, read: Read, call: Call): Promise<Found | null | StoreError> {
    try {
      return await this.get(key, read, call);
    } catch (error) {
      if (error instanceof StoreError && error.code === "corrupt") return error;
      throw error;
    }
  }

  async #foundByKey(
    keyByPlace: ReadonlyMap<string, string>,
    { metadata }: Read,
    call: Call,
  ): Promise<ReadonlyMap<string, Found | StoreError>> {
    const given = metadata.partitionKey ?? null;
    const ids = [...keyByPlace.values()].map(idOf);
    const chunks = Array.from({ length: Math.ceil(ids.length / IDS_MAX) }, (_, turn) =>
      ids.slice(turn * IDS_MAX, (turn + 1) * IDS_MAX),
    );
    const found = new Map<string, Found | StoreError>();
    for (const chunk of chunks)
      for (const { document, ...place } of await documentsOf(this.#client, chunk, given, call)) {
        const key = keyByPlace.get(placeText(place));
        const read = (): Found => this.#read(document);
        if (key !== undefined) found.set(key, orRefusal(read));
      }
    return found;
  }

  async #apply({ steps, body }: Batch, partition: string, call: Call): Promise<BatchOutcome> {
    let outcome: BatchOutcome = "missed";
    const { server } = this.#client;
    await this.#client.send(
      {
        method: "POST",
        target: { kind: "documents" },
        partition,
        headers: { "x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True" },
        body,
        isWrite: true,
        check: (answer) => {
          outcome = readBatchAnswer(answer, steps, server);
        },
      },
      call,
    );
    return outcome;
  }

  async #delete(place: Place, etag: string | null, call: Call): Promise<number> {
    const headers: Record<string, string> = etag === null ? {} : { "if-match": etag };
    const request = { ...PLAIN, method: "DELETE" as const, ...targetOf(place), headers, isWrite: true };
    return (await this.#client.send(request, call)).status;
  }

  /** Gives how many of them were still there. Once one fails no other begins, and none is under way when this rejects. */
  async #deleteAll(places: readonly Place[], call: Call): Promise<number> {
    let removed = 0;
    const left = [...places];
    const work = async (): Promise<void> => {
      for (let place = left.pop(); place !== undefined; place = left.pop()) {
        const status = await this.#delete(place, null, call);
        if (status === 404) continue;
        this.#mustBeDone(status);
        removed++;
      }
    };
    const stopAll = (error: unknown): never => {
      left.length = 0;
      throw error;
    };
    const ends = await Promise.allSettled(Array.from({ length: DELETES_AT_ONCE }, () => work().catch(stopAll)));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    return removed;
  }

  /** Other results than success: a unique key of the container's own, for instance. Nothing was written. */
  #mustBeDone(status: number): void {
    if (status < 300) return;
    throw new StoreError("failed", `Cosmos DB at ${this.#client.server} refused the request (status ${status})`);
  }
}

function targetOf({ id, partition }: Place): Pick<CosmosRequest, "target" | "partition"> {
  return { target: { kind: "document", id }, partition };
}

function placeOf(key: string, metadata: Metadata): Place {
  return { id: idOf(key), partition: partitionOf(key, metadata) };
}

/** One text for each place: a bar of the id's own is escaped in JSON's way by its quotes. */
function placeText({ id, partition }: Place): string {
  return JSON.stringify([id, partition]);
}

/** What `work` gives, or the StoreError that it throws: one of many is then refused, or corrupt, alone. */
function orRefusal<T>(work: () => T): T | StoreError {
  try {
    return work();
  } catch (error) {
    if (error instanceof StoreError) return error;
    throw error;
  }
}
