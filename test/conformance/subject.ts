// What the conformance suite is told about a store: how to reach it, what it declares, how its server can be hurt.
// Knows no driver by name.
import type { Property } from "#crds/fields.ts";
import type { Features, Limits, StoreDriver, Traits } from "#sidecar/stores/store.ts";
import type { LocalServer } from "#test/servers/local-server.ts";
import type { Surface } from "./surface.ts";
import type { Told } from "./told.ts";

/** The traits that the suite proves; the two sentences about strong calls are for people. */
export type ProvedTraits = Omit<Traits, "strongRead" | "strongWrite">;

/**
 * What the opened store has to declare. It chooses the cases, so it is pinned here a second time: a driver that stops
 * declaring a feature fails the suite instead of being tested less.
 */
export interface Declaration {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: ProvedTraits;
}

/** What can be done to a store's server. An embedded store has none of it. */
export interface Server {
  /** Ends the process without a farewell. */
  stop(): Promise<void>;
  /** Starts it again under the same address; resolves when it answers. */
  start(): Promise<void>;
  /** It keeps its connections and answers nothing until `resume`. Null where that cannot be done. */
  readonly pause: (() => void) | null;
  readonly resume: () => void;
}

/** A subject between its start and its stop. */
export interface Running {
  /** The Component's metadata. */
  readonly properties: readonly Property[];
  /** Null exactly when the subject says `server: "none"`. */
  readonly server: Server | null;
  /** What its sidecars have logged so far; absent where there are none, and a store logs to the suite itself. */
  readonly logged?: () => string;
  /** Asks its servers what they are; absent: there is none, or nothing to ask. */
  readonly tells?: () => Promise<Told>;
  /** Ends everything that `start` began and removes its files. */
  stop(): Promise<void>;
}

export interface Subject {
  /** Stands in the title: "state.redis, one server". */
  readonly name: string;
  readonly driver: StoreDriver;
  readonly declares: Declaration;
  /** Absent: the suite calls the driver itself. */
  readonly surface?: Surface;
  /** The latest moment, in milliseconds since 1970, until which the layout can keep a value; absent: the largest TTL fits. */
  readonly expiresAtMsMax?: number;
  /**
   * Makes the keys of a case out of what is the case's own and a name, beginning with "conformance||". Where a transaction
   * takes only keys that lie together, these do. Absent: they lie anywhere.
   */
  readonly keyOf?: (own: string, name: string) => string;
  /**
   * The longest key that begins so; a character more is refused. Absent: one of `keyBytesMax` letters, in a store that counts
   * bytes.
   */
  readonly longestKey?: (beginning: string) => string;
  /** "restart": the server can be stopped and started. "pause": also stopped in the middle without closing anything. */
  readonly server: "none" | "restart" | "pause";
  /**
   * Cases that the emulator behind this subject gets wrong, by their names, each with the emulator's name and what it does.
   * They are counted as skipped. A subject with the vendor's own server has none.
   */
  readonly excepted?: Readonly<Record<string, string>>;
  /** Why it cannot run here; null when it can. Becomes one pending test with the reason in its title. */
  readonly skip: string | null;
  start(): Promise<Running>;
}

/** A server of the subject's own, which the suite may hurt, under the metadata of a Component on it. */
export function ownServer(
  server: Omit<LocalServer, "host" | "port">,
  pairs: Readonly<Record<string, string>>,
  tells: () => Promise<Told> = async () => ({}),
): Running {
  return {
    properties: properties(pairs),
    tells,
    server: {
      stop: () => server.kill9(),
      start: () => server.restart(),
      pause: () => server.pause(),
      resume: () => server.resume(),
    },
    stop: () => server.stop(),
  };
}

/** A server that is there already, to which nothing is done. */
export function lentServer(pairs: Readonly<Record<string, string>>): Running {
  return { properties: properties(pairs), server: null, stop: async () => undefined };
}

/** Turns plain pairs into properties, as a manifest without secrets has them. */
export function properties(pairs: Readonly<Record<string, string>>): readonly Property[] {
  return Object.entries(pairs).map(([name, value]) => ({ name, value, secret: false }));
}

export const hasEtags = (subject: Subject): boolean => subject.declares.features.etag;
export const hasTransactions = (subject: Subject): boolean => subject.declares.features.transactions;
export const hasTtl = (subject: Subject): boolean => subject.declares.features.ttl;
export const canList = (subject: Subject): boolean => subject.declares.features.list;
export const isOrdered = (subject: Subject): boolean => subject.declares.traits.listOrder === "key";
export const isDurable = (subject: Subject): boolean => subject.declares.traits.durable;

/** The largest values and keys that the suite makes. A limit beyond it is pinned, and not tried. */
const TRIED_BYTES_MAX = 16 * 1024 * 1024;

const isTried = (limit: number | null): boolean => limit !== null && limit <= TRIED_BYTES_MAX;
export const hasValueLimit = ({ declares }: Subject): boolean => isTried(declares.limits.valueBytesMax);
export const hasKeyLimit = ({ declares }: Subject): boolean => isTried(declares.limits.keyBytesMax);

/** All of several conditions at once. */
export function all(...conditions: readonly ((subject: Subject) => boolean)[]): (subject: Subject) => boolean {
  return (subject) => conditions.every((holds) => holds(subject));
}

export function not(condition: (subject: Subject) => boolean): (subject: Subject) => boolean {
  return (subject) => !condition(subject);
}
