// The opened stores by Component name, as the rules of the API see them. The component host fills the table;
// a store that is swapped out stays usable for the calls that hold it, until they end.
import type { Store } from "../stores/store.ts";

export type StoreHealth =
  | { readonly up: true; readonly sinceMs: number }
  | { readonly up: false; readonly sinceMs: number; readonly message: string };

export interface StoreEntryOptions {
  /** Name of the Component. */
  readonly name: string;
  /** "state.redis" */
  readonly type: string;
  /** "v1" */
  readonly version: string;
  /** What stands before every key, separator included: "orders-app||"; "" for none. */
  readonly keyPrefix: string;
  /** What the Component's other core fields say. */
  readonly core: EntryCore;
  readonly store: Store;
  readonly openedAtMs: number;
}

/** The Component's fields that the rules of the API look at. */
export interface EntryCore {
  /** `actorStateStore`: this store keeps the state of actors. */
  readonly actorStateStore: boolean;
  /** `allowUnscopedDelete`: delete by prefix is allowed although `keyPrefix` is none. */
  readonly allowUnscopedDelete: boolean;
  /** Null when the Component has no encryption key. */
  readonly cipher: ValueCipher | null;
}

/** Automatic encryption: what is written in place of a value, and back (dapr-state-api.md 6). */
export interface ValueCipher {
  /** The stored form of a value; `asText` as in `SaveRequest`. */
  seal(bytes: Uint8Array, asText: boolean): Uint8Array;
  /** Rejects nothing and throws a StoreError of code `corrupt` for what no key of this Component can open. */
  open(bytes: Uint8Array): Uint8Array;
}

/** What all entries over one opened store share, whatever the rules in each. */
class StoreUse {
  calls = 0;
  idle: (() => void) | null = null;
  health: StoreHealth;

  constructor(openedAtMs: number) {
    this.health = { up: true, sinceMs: openedAtMs };
  }
}

/** One opened store, the rules over it, and the count of calls that use it. */
export class StoreEntry {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  readonly keyPrefix: string;
  readonly core: EntryCore;
  readonly store: Store;
  readonly #use: StoreUse;

  /** `use` only from {@link withRules}. */
  constructor(options: StoreEntryOptions, use: StoreUse = new StoreUse(options.openedAtMs)) {
    this.name = options.name;
    this.type = options.type;
    this.version = options.version;
    this.keyPrefix = options.keyPrefix;
    this.core = options.core;
    this.store = options.store;
    this.#use = use;
  }

  /** The same open store under another prefix or other core fields. Calls on either entry keep the store from closing. */
  withRules({ keyPrefix, core }: { readonly keyPrefix: string; readonly core: EntryCore }): StoreEntry {
    const { name, type, version, store } = this;
    const openedAtMs = this.health.sinceMs;
    return new StoreEntry({ name, type, version, keyPrefix, core, store, openedAtMs }, this.#use);
  }

  /** Kept by the component host from its probes. */
  get health(): StoreHealth {
    return this.#use.health;
  }

  set health(health: StoreHealth) {
    this.#use.health = health;
  }

  /** Counts a call in. Find and enter in one tick: between them the host cannot drain. */
  enter(): void {
    this.#use.calls++;
  }

  leave(): void {
    this.#use.calls--;
    if (this.#use.calls === 0) this.#use.idle?.();
  }

  get calls(): number {
    return this.#use.calls;
  }

  /** Resolves when no call uses the store any more; the host asks after it has taken the entry out of the table. */
  idle(): Promise<void> {
    if (this.#use.calls === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#use.idle = resolve;
    });
  }
}

export interface StoreTable {
  /** How many state stores are loaded. */
  readonly size: number;
  find(name: string): StoreEntry | undefined;
  /** In the order in which they were loaded. */
  all(): Iterable<StoreEntry>;
}

/** How a Component fares, for health, metadata and logs. */
export interface ComponentStatus {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  /** "kept": a newer manifest failed and the last good one still serves. "failed": nothing serves. */
  readonly state: "ready" | "kept" | "failed";
  /** Why, without any secret; null when ready. */
  readonly message: string | null;
  /** A newer manifest is being opened, or waits for that; all else is of the one before. */
  readonly isOpening: boolean;
}

/** A manifest, or a folder of them, that cannot be used as it is. */
export interface FileProblem {
  /** Its path. */
  readonly file: string;
  /** Why, without any secret. */
  readonly problem: string;
  /** Since when there is one; another one after it does not begin anew. */
  readonly sinceMs: number;
}

/** How a sidecar in a cluster stands to the operator. */
export interface OperatorStatus {
  /** "host:port" */
  readonly address: string;
  /** The stream is open, and its first full set has come. */
  readonly connected: boolean;
  /** Since when it is so, or not so. */
  readonly sinceMs: number;
  /** When anything came last; null when nothing has. */
  readonly lastContactMs: number | null;
  /** Why it is not connected, without any secret; null when it is. */
  readonly problem: string | null;
}
