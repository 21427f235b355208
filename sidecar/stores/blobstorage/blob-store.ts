// The Store of state.azure.blobstorage: a value is a block blob. What differs from Dapr on purpose is in
// docs/stores/azure.blobstorage.md.
import { checkEtag, type EtagShape, noValue, otherEtag, valueExists } from "../azure/etags.ts";
import type { StorageLink } from "../azure/storage-link.ts";
import type {
  Call,
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
import type { Container, Unmet } from "./container.ts";
import { headersOf } from "./headers.ts";
import { KEY_BYTES_MAX, nameOf } from "./names.ts";
import { listPage } from "./walk.ts";

export interface BlobStoreParts {
  readonly link: StorageLink;
  readonly container: Container;
}

/** Deletes of one step that are under way at a time. */
const DELETES_MAX = 16;
/** Nobody's key: whether it is there shows that the container answers, and takes the right to read only. */
export const PING_KEY: string = "pannier-ping";

export class BlobStore implements Store {
  readonly features: Features = { etag: true, transactions: false, ttl: false, list: true };
  readonly limits: Limits = {
    valueBytesMax: null,
    keyBytesMax: KEY_BYTES_MAX,
    operationsMax: null,
    ttlSecMin: 1,
  };
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: true,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "every read sees each write that was answered before, as long as the account's first region serves",
    strongWrite: "every write is answered when the copies that the account's redundancy keeps in the region have it",
  };
  readonly capabilities: readonly string[] = ["ETAG"];
  readonly defaultTtlSec = null;
  readonly #parts: BlobStoreParts;

  constructor(parts: BlobStoreParts) {
    this.#parts = parts;
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    const { container } = this.#parts;
    const blob = await container.get(nameOf(key), call);
    return blob === null ? null : { bytes: blob.bytes, etag: blob.etag, expiresAtMs: null };
  }

  async set({ key, bytes, etag, firstWrite, metadata }: Write, call: Call): Promise<void> {
    const { container } = this.#parts;
    if (etag !== null) checkEtag(etag, ETAG_SHAPE);
    const condition = { etag, absent: etag === null && firstWrite };
    const unmet = await container.put(nameOf(key), { bytes, headers: headersOf(metadata), condition }, call);
    if (unmet !== null) throw conflictOf(unmet);
  }

  /** First-write has no say in a delete. */
  async remove({ key, etag }: Removal, call: Call): Promise<void> {
    const { container } = this.#parts;
    if (etag !== null) checkEtag(etag, ETAG_SHAPE);
    const unmet = await container.delete(nameOf(key), etag, call);
    if (unmet !== null && (etag !== null || unmet !== "missing")) throw conflictOf(unmet);
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    const { container } = this.#parts;
    return listPage(
      {
        list: (asked) => container.list(asked, call),
        get: (key) => this.get(key, PLAIN_READ, call),
      },
      request,
    );
  }

  async removeListed(keys: readonly string[], call: Call): Promise<number> {
    const { container } = this.#parts;
    let removed = 0;
    for (let at = 0; at < keys.length; at += DELETES_MAX) {
      const chunk = keys.slice(at, at + DELETES_MAX);
      const unmet = await Promise.all(chunk.map((key) => container.delete(nameOf(key), null, call)));
      removed += unmet.filter((each) => each === null).length;
    }
    return removed;
  }

  async ping(call: Call): Promise<void> {
    const { container } = this.#parts;
    await container.get(nameOf(PING_KEY), call);
  }

  async close(): Promise<void> {
    this.#parts.link.close();
  }
}

const PLAIN_READ: Read = { strong: false, metadata: {} };

/** ETags come in quotes, which are part of them, as with Dapr. */
const ETAG_SHAPE: EtagShape = { head: '"', tail: '"' };

function conflictOf(unmet: Unmet): StoreError {
  switch (unmet) {
    case "exists":
      return valueExists();
    case "missing":
      return noValue();
    case "other":
      return otherEtag();
  }
}
