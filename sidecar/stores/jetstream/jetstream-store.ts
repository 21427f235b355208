// The Store of state.jetstream: calls become reads and writes of a bucket. What differs from Dapr on purpose is in
// docs/stores/jetstream.md.
import type { Call, Features, Found, Limits, Read, Removal, Store, Traits, Write } from "../store.ts";
import { StoreError } from "../store.ts";
import { type Bucket, type Entry, WrongRevision } from "./bucket.ts";
import type { Link } from "./link.ts";
import { KEY_BYTES_MAX, nameOf } from "./names.ts";

export interface JetStreamStoreParts {
  readonly link: Link;
  readonly bucket: Bucket;
  readonly dotsAsSeparators: boolean;
  /** Conditions hold here. */
  readonly etags: boolean;
  readonly valueBytesMax: number;
}

/** How often a first write is tried again where others write and delete the same key meanwhile. */
const ATTEMPTS_MAX = 32;
/** Keys of a bulk read that are asked for at once. */
const TOGETHER_MAX = 1000;
/** The revision of a name that nothing was ever written under. */
const NEVER = 0;

export class JetStreamStore implements Store {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "the leader of the bucket answers: the read sees each write that was answered before",
    strongWrite: "every write is answered when most replicas of the bucket have it",
  };
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  readonly #parts: JetStreamStoreParts;

  constructor(parts: JetStreamStoreParts) {
    this.#parts = parts;
    this.features = { etag: parts.etags, transactions: false, ttl: false, list: false };
    this.capabilities = parts.etags ? ["ETAG"] : [];
    this.limits = {
      valueBytesMax: parts.valueBytesMax,
      keyBytesMax: KEY_BYTES_MAX,
      operationsMax: null,
      ttlSecMin: 1,
    };
  }

  async get(key: string, read: Read, call: Call): Promise<Found | null> {
    const { bucket, etags } = this.#parts;
    return foundOf(await bucket.get(this.#nameOf(key), read.strong, call.signal), etags);
  }

  async set({ key, bytes, etag, firstWrite }: Write, { signal }: Call): Promise<void> {
    const { bucket, valueBytesMax } = this.#parts;
    const name = this.#nameOf(key);
    if (bytes.length > valueBytesMax)
      throw new StoreError("refused", `a value of ${bytes.length} bytes, the bucket takes at most ${valueBytesMax}`);
    if (etag === null && firstWrite) return this.#create(name, bytes, signal);
    await bucket.put({ name, bytes, expected: revisionOf(etag) }, signal);
  }

  /** Where there is nothing it leaves nothing: each mark stays in the bucket. First-write has no say in it. */
  async remove({ key, etag }: Removal, { signal }: Call): Promise<void> {
    const { bucket } = this.#parts;
    const name = this.#nameOf(key);
    if (etag === null) {
      const entry = await bucket.get(name, true, signal);
      if (entry === null || entry.bytes === null) return;
    }
    await bucket.put({ name, bytes: null, expected: revisionOf(etag) }, signal);
  }

  /** All at once over the connection: what is asked in one turn leaves in one piece. */
  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const asked = [...new Set(keys)];
    const answers = new Map<string, Found | null | StoreError>();
    for (let at = 0; at < asked.length; at += TOGETHER_MAX) {
      const group = asked.slice(at, at + TOGETHER_MAX);
      const found = await Promise.all(group.map((key) => this.#getOrRefusal(key, read, call)));
      for (const [index, key] of group.entries()) answers.set(key, found[index] ?? null);
    }
    return keys.map((key) => answers.get(key) ?? null);
  }

  /** The leader of the bucket answers. */
  async ping({ signal }: Call): Promise<void> {
    await this.#parts.bucket.open(signal);
  }

  close(): Promise<void> {
    return this.#parts.link.close();
  }

  /** A mark that says that the value was deleted counts as nothing, and has a revision. */
  async #create(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    const { bucket } = this.#parts;
    let expected = NEVER;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      try {
        return await bucket.put({ name, bytes, expected }, signal);
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
      }
      const entry = await bucket.get(name, true, signal);
      if (entry !== null && entry.bytes !== null)
        throw new StoreError("etag-mismatch", "item already exists and no etag was passed");
      expected = entry?.revision ?? NEVER;
    }
    throw new StoreError("failed", `others changed the key ${ATTEMPTS_MAX} times between two looks at it`);
  }

  async #getOrRefusal(key: string, read: Read, call: Call): Promise<Found | null | StoreError> {
    try {
      return await this.get(key, read, call);
    } catch (error) {
      if (error instanceof StoreError && error.code === "refused") return error;
      throw error;
    }
  }

  #nameOf(key: string): string {
    return nameOf(key, this.#parts.dotsAsSeparators);
  }
}

function foundOf(entry: Entry | null, etags: boolean): Found | null {
  if (entry === null || entry.bytes === null) return null;
  return { bytes: entry.bytes, etag: etags ? String(entry.revision) : null, expiresAtMs: null };
}

/** The revision that an ETag names; null for no ETag. Throws for a text that no bucket ever makes. */
function revisionOf(etag: string | null): number | null {
  if (etag === null) return null;
  const revision = Number(etag);
  if (Number.isSafeInteger(revision) && revision > NEVER && String(revision) === etag) return revision;
  throw new WrongRevision();
}
