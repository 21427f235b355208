// The driver contract: what a folder in stores/ exports and what the core may ask of an opened store.
// The core owns key prefixes, option words, TTL parsing, retries, fallbacks for bulk, limits and metrics;
// a driver gets checked, complete objects and does one thing: talk to its server.
import { decodeFields, type FieldTable, fieldFinder, type Property } from "#crds/fields.ts";
import type { Clock } from "#kit/clock.ts";
import type { Fault } from "#kit/fault.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Narrowing } from "./narrowing.ts";
import type { NeededPackage } from "./packages.ts";

/** What the store can do. Declared means proved by the conformance suite; not declared means refused by the core. */
export interface Features {
  /** Every value has an ETag; conditional writes and deletes and first-write hold. */
  readonly etag: boolean;
  /** Several changes apply all or not at all; `transact` is present exactly then. */
  readonly transactions: boolean;
  /** Values can expire, and reads tell when. */
  readonly ttl: boolean;
  /** Keys can be walked by their beginning; `list` is present exactly then. */
  readonly list: boolean;
}

export interface Limits {
  /** Largest value in bytes; null when only the request limit holds. */
  readonly valueBytesMax: number | null;
  /**
   * Longest key in bytes, prefix included; null when unlimited. Where the store counts characters, the longest that these
   * can come to: the driver then refuses a shorter one that has too many.
   */
  readonly keyBytesMax: number | null;
  /** Most changes in one transaction; null when only the request limit holds. */
  readonly operationsMax: number | null;
  /** Shortest TTL in seconds that the store keeps. */
  readonly ttlSecMin: number;
}

/** Documented differences between stores, as data: the conformance suite asserts each, the docs print them. */
export interface Traits {
  /** "exact-bytes": what comes back is what came in. "json-equal": the layout parses JSON and may respell it. */
  readonly values: "exact-bytes" | "json-equal";
  /** An ETag text that this store never makes: refused as invalid, or simply not equal to the stored one. */
  readonly foreignEtag: "invalid" | "mismatch";
  /** An ETag of this store can begin with a double quote (then If-Match is never unquoted). */
  readonly etagMayBeQuoted: boolean;
  /** A delete with first-write and no ETag: a conflict when the key exists, or a plain delete (dapr-state-stores.md 1). */
  readonly firstWriteDelete: "conflict" | "ignored";
  /** Expiry is kept in steps of this many milliseconds; a value may live up to one step longer than asked. */
  readonly ttlStepMs: number;
  /** The data are still there after close and open with the same settings. */
  readonly durable: boolean;
  /** A walk goes by the bytes of the key in UTF-8, or in an order of the store's own, which may tell a key twice. */
  readonly listOrder: "key" | "none";
  /**
   * In queries a string is equal to strings only ("typed"), or also to the number or boolean that it spells ("loose"), as
   * where Dapr's own query compares texts (dapr-state-stores.md 3e).
   */
  readonly queryStrings: "typed" | "loose";
  /** What `consistency: strong` means on a read and on a write here, one sentence each. */
  readonly strongRead: string;
  readonly strongWrite: string;
}

/** The client's side of one call. Aborts when the client leaves or the time is up. */
export interface Call {
  readonly signal: AbortSignal;
}

export interface Read {
  readonly strong: boolean;
  readonly metadata: Metadata;
}

export type Metadata = Readonly<Record<string, string>>;

export interface Found {
  readonly bytes: Uint8Array;
  /** Null when this row has none (a store without ETags, or a row that something else wrote). */
  readonly etag: string | null;
  /** Milliseconds since 1970 UTC, or null when the value does not expire. */
  readonly expiresAtMs: number | null;
}

export interface Write {
  readonly key: string;
  readonly bytes: Uint8Array;
  /** The bytes are JSON text; false for bytes that came in raw. Some layouts keep the two apart. */
  readonly isJson: boolean;
  /** Never empty: "" counts as no ETag (dapr-state-stores.md 0.1). */
  readonly etag: string | null;
  /** Without an ETag: write only where no live value is. With one: the ETag alone decides. */
  readonly firstWrite: boolean;
  readonly strong: boolean;
  /** Null: no expiry, also when the value before had one. Else 1 to 2147483647, set in the same step as the value. */
  readonly ttlSec: number | null;
  readonly metadata: Metadata;
}

export interface Removal {
  readonly key: string;
  readonly etag: string | null;
  readonly firstWrite: boolean;
  readonly strong: boolean;
  readonly metadata: Metadata;
}

export type Change =
  | { readonly kind: "upsert"; readonly write: Write }
  | { readonly kind: "delete"; readonly removal: Removal };

/**
 * Which keys a walk is about: those that begin with `start` and have no further "||" after `scope`. `scope` is the
 * caller's key prefix with its separator ("" for bare keys), and `start` begins with it. Keys with a further "||" are
 * actor state and other applications' rows: they are never part of a range.
 */
export interface KeyRange {
  readonly scope: string;
  readonly start: string;
}

/** Whether a store's key belongs to a range. */
export function isInRange(range: KeyRange, key: string): boolean {
  return key.startsWith(range.start) && key.indexOf("||", range.scope.length) < 0;
}

/** A page with values ends with the row with which they reach this many bytes: values can be large, and pages long. */
export const LIST_BYTES_MAX: number = 8 * 1024 * 1024;

export interface ListRequest {
  readonly range: KeyRange;
  /** Where the page before ended (`ListPage.next`); null for the first page. Any text may come in, also one of no page. */
  readonly after: string | null;
  /** Most rows of the page, at least 1. */
  readonly limit: number;
  /** Give each row's value, ETag and expiry; the page then also ends by {@link LIST_BYTES_MAX}. */
  readonly values: boolean;
  /** Only with `values`: rows that do not fulfil it are of no use, and may be left out. The same on each page of a walk. */
  readonly where?: Narrowing | null;
}

export interface ListedRow {
  readonly key: string;
  /** Null unless values were asked for. */
  readonly found: Found | null;
}

export interface ListPage {
  /** Live rows in this driver's layout, and no others; may be fewer than asked for, or none, before the last page. */
  readonly rows: readonly ListedRow[];
  /** Where the next page begins: a position in the walk, never the walk's bounds. Null after the last row. */
  readonly next: string | null;
}

/** A query in a store's own hands. The core has read it and held it against its limits. */
export interface StoreQuery {
  /** The caller's key prefix: rows under other keys may be answered, and are dropped. */
  readonly scope: string;
  /** By operator, as JSON text: `{"EQ": '{"state":"CA"}'}`. Empty for all rows. */
  readonly filter: Readonly<Record<string, string>>;
  readonly sort: readonly { readonly path: string; readonly descending: boolean }[];
  /** Most rows of the page; 0 for all rows at once. */
  readonly limit: number;
  /** Where the page before ended (`StoreQueryPage.token`); "" for the first. */
  readonly token: string;
}

export interface StoreQueryPage {
  readonly rows: readonly { readonly key: string; readonly found: Found }[];
  /** Where the next page begins; "" after the last one. */
  readonly token: string;
}

export interface Store {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: Traits;
  /** Dapr's capability words for this store, in Dapr's order (dapr-state-api.md 8.1), without ACTOR. */
  readonly capabilities: readonly string[];
  /** TTL of writes that ask for none (Redis: the Component's `ttlInSeconds`); null for no expiry. */
  readonly defaultTtlSec: number | null;
  /** Null when there is no live value under the key. */
  get(key: string, read: Read, call: Call): Promise<Found | null>;
  /** Rejects with a StoreError of code etag-mismatch or etag-invalid when the condition does not hold. */
  set(write: Write, call: Call): Promise<void>;
  /** Deleting what is not there succeeds, unless an ETag was given: then it is a mismatch. */
  remove(removal: Removal, call: Call): Promise<void>;
  /** Same length and order as `keys`; a key that occurs twice is answered twice. One failing key is that item's StoreError. */
  getMany?(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]>;
  /** In order, later changes see earlier ones; all ETags are compared with the state before the first change. */
  transact?(changes: readonly Change[], call: Call): Promise<void>;
  /**
   * A page of the keys of a range. A key that is there during the whole walk is told, whatever others write meanwhile.
   * Rejects with `refused` when `after` is a text that no page of this store has ended with.
   */
  list?(request: ListRequest, call: Call): Promise<ListPage>;
  /** How many live rows a range has; only where the server counts by itself, else the core walks. */
  count?(range: KeyRange, call: Call): Promise<number>;
  /** Deletes at most `limit` rows of a range and gives their number; fewer than `limit`: none are left. Else the core walks. */
  removeRange?(range: KeyRange, limit: number, call: Call): Promise<number>;
  /**
   * Deletes the rows under these keys, which are different ones and were told by `list`, and gives how many it deleted;
   * what is no longer a row of this driver's layout stays. In place of `removeRange` where finding the rows costs more
   * than deleting them, so that the core goes through the range once.
   */
  removeListed?(keys: readonly string[], call: Call): Promise<number>;
  /**
   * A query that the store answers by itself, and by its own rules; only in a store that cannot list its keys. Where keys can
   * be listed the core goes through them, so that a query means the same on every store.
   */
  query?(query: StoreQuery, call: Call): Promise<StoreQueryPage>;
  /** Resolves when the server answers. */
  ping(call: Call): Promise<void>;
  /**
   * Ends connections and workers; may be called again, and while calls are under way: those end as usual, or reject with
   * `closed`, a write that was already sent with `unknown-outcome`.
   */
  close(): Promise<void>;
}

/** What a driver is given besides its settings. */
export interface OpenContext {
  /** Name of the Component. */
  readonly component: string;
  readonly appId: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts when the Component's initTimeout is over: `open` then rejects and leaves nothing behind. */
  readonly signal: AbortSignal;
}

export type StoreErrorCode =
  /** The stored value is not the one the caller means, or there is one where none was wanted. Nothing was written. */
  | "etag-mismatch"
  /** No ETag of this store looks like that. Nothing was written. */
  | "etag-invalid"
  /** The layout cannot hold this value or key. Nothing was written. */
  | "refused"
  /** The server could not be reached or is not able to serve: down, read-only, disk full, wrong password. Nothing was written. */
  | "unavailable"
  /** No answer in time. A write may have happened. */
  | "timeout"
  /** The connection broke after a write was sent. It may have happened. */
  | "unknown-outcome"
  /** What is stored under the key is not in this driver's layout. */
  | "corrupt"
  /** The store was closed. Nothing was written. */
  | "closed"
  /** Anything else that the server said. Nothing was written. */
  | "failed";

/** The only error a driver throws. Its text names what happened and the server, never a value or a secret. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A driver as the rest of the sidecar sees it: its settings' type is its own business. */
export interface StoreDriver {
  readonly type: string;
  readonly versions: readonly string[];
  /** The version that an empty `version` means. */
  readonly defaultVersion: string;
  readonly fields: FieldTable<object>;
  /** Where versions have fields and a layout of their own: the driver of each. Absent: this one serves all. */
  readonly byVersion?: Readonly<Record<string, StoreDriver>>;
  decode(properties: readonly Property[], others: readonly string[]): PreparedStore;
}

/** What is sure of a store by its settings alone, before it is opened. */
export interface Foreseen {
  /** Features that it will not have, whatever server it finds. */
  readonly lacks: readonly (keyof Features)[];
  /** The field by whose value it takes only keys that no prefix can stand before; null for any key. */
  readonly bareKeysBy: string | null;
}

export interface PreparedStore {
  readonly faults: readonly Fault[];
  /** Equal for equal decoded settings, whatever their order and spelling; null when a fault is an error. Holds secrets. */
  readonly fingerprint: string | null;
  /** Optional packages that these settings load besides the driver's own client; also told beside faults. Absent: none. */
  readonly packages?: readonly NeededPackage[];
  /** Absent: what it can do shows when it is open. */
  readonly foreseen?: Foreseen;
  /** Connects, migrates and pings, or rejects with a StoreError and leaves nothing open. Only without error faults. */
  open(context: OpenContext): Promise<Store>;
}

/** What a driver's folder writes down; `storeDriver` makes the rest. */
export interface DriverDefinition<S extends object> {
  readonly type: string;
  readonly versions: readonly string[];
  readonly defaultVersion: string;
  readonly fields: FieldTable<S>;
  /** Faults between fields; called only when each field alone is right. */
  check(settings: Readonly<S>): readonly Fault[];
  /** As {@link PreparedStore.packages}. Asked when each field alone is right, whatever `check` says of them together. */
  packages?(settings: Readonly<S>): readonly NeededPackage[];
  /** As {@link PreparedStore.foreseen}; asked when `packages` is. */
  foresee?(settings: Readonly<S>): Foreseen;
  open(settings: Readonly<S>, context: OpenContext): Promise<Store>;
}

export function storeDriver<S extends object>(definition: DriverDefinition<S>): StoreDriver {
  const page = `docs/stores/${definition.type.replace("state.", "")}.md`;
  const withoutSecrets = secretHider(definition.fields);
  return {
    type: definition.type,
    versions: definition.versions,
    defaultVersion: definition.defaultVersion,
    fields: definition.fields,
    decode(properties, others) {
      const decoded = decodeFields(definition.fields, properties, { others, page });
      const { settings } = decoded;
      if (settings === null) return unopenable(decoded.faults);
      const faults = [...decoded.faults, ...withoutSecrets(definition.check(settings), properties)];
      const packages = definition.packages?.(settings) ?? [];
      const foreseen = definition.foresee?.(settings) ?? { lacks: [], bareKeysBy: null };
      if (faults.some((fault) => fault.severity === "error")) return { ...unopenable(faults), packages, foreseen };
      const open = (context: OpenContext): Promise<Store> => definition.open(settings, context);
      return { faults, fingerprint: JSON.stringify(settings), packages, foreseen, open };
    },
  };
}

/** The versions of one type under one name; without a choice among `byVersion` it is the driver of the default one. */
export function versionedDriver(byDefault: StoreDriver, ...others: readonly StoreDriver[]): StoreDriver {
  const all = [byDefault, ...others];
  const byVersion = Object.fromEntries(all.flatMap((each) => each.versions.map((version) => [version, each])));
  return { ...byDefault, versions: Object.keys(byVersion), byVersion };
}

/**
 * Takes the value out of each fault whose field is secret, by the table or by where its property came from. A driver's
 * check sees settings only and cannot know the latter. A fault under a name that is no field shows nothing.
 */
function secretHider(
  table: FieldTable<object>,
): (faults: readonly Fault[], properties: readonly Property[]) => readonly Fault[] {
  const find = fieldFinder([table]);
  return (faults, properties) => {
    const secret = new Set(properties.filter((property) => property.secret).map(({ name }) => find(name)));
    return faults.map((fault) => {
      const field = find(fault.field);
      return field === undefined || field.secret || secret.has(field) ? { ...fault, got: null } : fault;
    });
  };
}

function unopenable(faults: readonly Fault[]): PreparedStore {
  const open = (): Promise<Store> => Promise.reject(new StoreError("refused", "the Component has faults"));
  return { faults, fingerprint: null, open };
}
