// The Store of state.cassandra: calls become statements on one table. Without ETags they are Dapr's own; with them every
// write is a lightweight transaction, for plain writes beside those would not be ordered with them. What differs from Dapr
// on purpose is in docs/stores/cassandra.md.
import type { types } from "cassandra-driver";
import type { Random } from "#kit/random.ts";
import type { Call, Features, Found, Limits, Read, Removal, Store, Traits, Write } from "../store.ts";
import { StoreError } from "../store.ts";
import type { CassandraClient } from "./client.ts";
import { AGREEMENT, ANY_NODE, type Levels, MOST } from "./levels.ts";
import { isOfItsValue, isWrittenEtag, type Row, rowOf } from "./rows.ts";
import { type Condition, conditionalStatements, PING, type Place, plainStatements } from "./statements.ts";

export interface CassandraStoreParts {
  readonly client: CassandraClient;
  readonly place: Place;
  readonly levels: Levels;
  readonly etags: boolean;
  /** Null where the server does not say. */
  readonly mutationBytesMax: number | null;
  readonly random: Random;
}

const KEY_BYTES_MAX = 65_535;
/** Twenty years, which no TTL of Cassandra's exceeds. */
const TTL_SEC_MAX = 630_720_000;
/** Servers drop values at whole seconds, counted from the beginning of the second of writing. */
const EXPIRY_STEP_MS = 1000;
/** Single reads of one bulk read that are under way. */
const READS_AT_ONCE = 128;
/** What a write has besides its key and value, at most. */
const MUTATION_OVERHEAD_BYTES = 4096;

/** A condition and the parameters that its statement ends with. */
interface Conditioned {
  readonly condition: Condition;
  readonly parameters: readonly (string | Uint8Array | null)[];
}

export class CassandraStore implements Store {
  readonly features: Features;
  readonly limits: Limits = { valueBytesMax: null, keyBytesMax: KEY_BYTES_MAX, operationsMax: null, ttlSecMin: 1 };
  readonly traits: Traits;
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  readonly #parts: CassandraStoreParts;
  readonly #plain: ReturnType<typeof plainStatements>;
  readonly #conditional: ReturnType<typeof conditionalStatements>;

  constructor(parts: CassandraStoreParts) {
    const { etags, place } = parts;
    this.#parts = parts;
    this.#plain = plainStatements(place);
    this.#conditional = conditionalStatements(place);
    this.features = { etag: etags, transactions: false, ttl: true, list: false };
    this.capabilities = etags ? ["ETAG", "TTL"] : ["TTL"];
    this.traits = traitsOf(etags);
  }

  async get(key: string, read: Read, call: Call): Promise<Found | null> {
    const row = await this.#read(key, this.#parts.levels.read(read.strong), call);
    return row === null ? null : row.found;
  }

  async set(write: Write, call: Call): Promise<void> {
    mustFit(write.key);
    const ttlSec = ttlOf(write.ttlSec);
    if (this.#parts.etags) return this.#setIf(write, ttlSec, call);
    const { insert, insertWithTtl } = this.#plain;
    const parameters = [write.key, bufferOf(write.bytes)];
    const level = this.#parts.levels.write(write.strong);
    const statement =
      ttlSec === null
        ? { text: insert, parameters, level, kind: "write" as const }
        : { text: insertWithTtl, parameters: [...parameters, ttlSec], level, kind: "write" as const };
    await this.#parts.client.execute(statement, call.signal);
  }

  /** First-write has no say in a delete, as in Dapr's driver. */
  async remove(removal: Removal, call: Call): Promise<void> {
    const { key, etag, strong } = removal;
    mustFit(key);
    const level = this.#parts.levels.write(strong);
    if (!this.#parts.etags) {
      await this.#parts.client.execute(
        { text: this.#plain.remove, parameters: [key], level, kind: "write" },
        call.signal,
      );
      return;
    }
    const { condition, parameters } = etag === null ? UNCONDITIONAL : await this.#ofEtag(key, etag, call);
    const text = this.#conditional.remove[condition];
    const statement = { text, parameters: [key, ...parameters], level, kind: "conditional" as const };
    const result = await this.#parts.client.execute(statement, call.signal);
    // What was not there is not there now.
    if (etag !== null && !result.wasApplied()) throw otherEtag();
  }

  /** Each key from a replica of its own, all at once: a query for many keys would go through one node, and fail as one. */
  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const waiting = new Set(keys).values();
    const answers = new Map<string, Found | null | StoreError>();
    const lane = async (): Promise<void> => {
      for (const key of waiting) answers.set(key, await this.get(key, read, call).catch(asAnswer));
    };
    await Promise.all(Array.from({ length: Math.min(READS_AT_ONCE, keys.length) }, lane));
    return keys.map((key) => answers.get(key) ?? null);
  }

  async ping(call: Call): Promise<void> {
    await this.#parts.client.execute({ text: PING, parameters: [], level: ANY_NODE, kind: "read" }, call.signal);
  }

  close(): Promise<void> {
    return this.#parts.client.close();
  }

  async #read(key: string, level: types.consistencies, { signal }: Call): Promise<Row | null> {
    mustFit(key);
    const { etags, client } = this.#parts;
    const text = etags ? this.#conditional.select : this.#plain.select;
    const row = (await client.execute({ text, parameters: [key], level, kind: "read" }, signal)).first();
    return row === null ? null : rowOf(row, etags);
  }

  async #setIf(write: Write, ttlSec: number | null, call: Call): Promise<void> {
    const { client, levels, random } = this.#parts;
    const { key, bytes, etag, firstWrite, strong } = write;
    this.#mustBeWritable(key, bytes);
    const next = random.uuid();
    const { condition, parameters } =
      etag !== null
        ? await this.#ofEtag(key, etag, call)
        : firstWrite
          ? MISSING
          : { condition: ANY, parameters: [next] };
    const { update, updateWithTtl } = this.#conditional;
    const text = (ttlSec === null ? update : updateWithTtl)[condition];
    const row = [bufferOf(bytes), next, key, ...parameters];
    const statement = {
      text,
      parameters: ttlSec === null ? row : [ttlSec, ...row],
      level: levels.write(strong),
      kind: "conditional" as const,
    };
    if ((await client.execute(statement, call.signal)).wasApplied()) return;
    if (etag === null && firstWrite)
      throw new StoreError("etag-mismatch", "item already exists and no etag was passed");
    throw otherEtag();
  }

  /**
   * An ETag of ours stands in the row. One that is a moment of writing does not: the row is read, and has to be as it was
   * read, ETag column and value, when it is written.
   */
  async #ofEtag(
    key: string,
    etag: string,
    call: Call,
  ): Promise<Conditioned & { condition: "etag" | "etag-and-value" }> {
    if (!isWrittenEtag(etag)) {
      await this.#mustNotBeLeft(key, etag, call);
      return { condition: "etag", parameters: [etag] };
    }
    const row = await this.#read(key, AGREEMENT, call);
    if (row === null || row.found.etag !== etag) throw otherEtag();
    if (row.aheadMs > 0) throw aheadOfTime(row.aheadMs);
    return { condition: "etag-and-value", parameters: [row.etagColumn, bufferOf(row.found.bytes)] };
  }

  /** The condition alone would still hold where a plain write has put another value beside the ETag. */
  async #mustNotBeLeft(key: string, etag: string, { signal }: Call): Promise<void> {
    const statement = { text: this.#conditional.selectWritten, parameters: [key], level: MOST, kind: "read" as const };
    const row = (await this.#parts.client.execute(statement, signal)).first();
    if (row !== null && row.etag === etag && !isOfItsValue(row)) throw otherEtag();
  }

  /** Of a lightweight transaction that is too large the server says after some seconds that it ran out of time. */
  #mustBeWritable(key: string, bytes: Uint8Array): void {
    const { mutationBytesMax } = this.#parts;
    if (mutationBytesMax === null) return;
    const size = bytes.length + Buffer.byteLength(key) + MUTATION_OVERHEAD_BYTES;
    if (size <= mutationBytesMax) return;
    throw new StoreError(
      "refused",
      `a value of ${bytes.length} bytes: cassandra's max_mutation_size is ${mutationBytesMax}, key and overhead included`,
    );
  }
}

const ANY = "any" as const;
const UNCONDITIONAL = { condition: ANY, parameters: [] };
const MISSING = { condition: "missing" as const, parameters: [] };

function traitsOf(etags: boolean): Traits {
  return {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: EXPIRY_STEP_MS,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: etags
      ? "a serial read: it sees every write that was answered, and settles those that were not"
      : "consistency All: it sees every write that any replica has",
    strongWrite: etags
      ? "the write is agreed upon by most replicas, as every one, and most of them have it"
      : "consistency Quorum: most replicas have it",
  };
}

function mustFit(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX)
    throw new StoreError("refused", `a key of ${bytes} bytes, cassandra takes at most ${KEY_BYTES_MAX}`);
}

/** One second more, so that no value goes before its time; see {@link EXPIRY_STEP_MS}. */
function ttlOf(ttlSec: number | null): number | null {
  if (ttlSec === null) return null;
  if (ttlSec < TTL_SEC_MAX) return ttlSec + 1;
  throw new StoreError("refused", `a TTL of ${ttlSec} s: cassandra keeps no value for more than ${TTL_SEC_MAX} s`);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A key whose replicas fail is that key's matter. */
function asAnswer(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  throw error;
}

/** The newest moment wins, whatever a lightweight transaction answers. */
function aheadOfTime(aheadMs: number): StoreError {
  return new StoreError(
    "unavailable",
    `the value was written by a clock that is ${aheadMs} ms ahead of cassandra's, and no write replaces it until then; set that clock right`,
  );
}

function otherEtag(): StoreError {
  return new StoreError("etag-mismatch", "there is no value with this etag under the key");
}
