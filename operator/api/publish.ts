// From the table of resources to each stream: which entries it may have, all of them first, then what changes.
// Knows no connection: a stream takes line after line when it has room for one.
import { LINE_BYTES_MAX, type SecretPart, type StreamMessage } from "#crds/distribution.ts";
import type { Log } from "#kit/log.ts";
import type { Distributed, ResourceTable } from "../components/resource-table.ts";
import type { Sidecar } from "./sidecar.ts";

/** Most resources of which a stream has changes waiting; a sidecar that is further behind starts again with all. */
export const WAITING_MAX = 2_000;

/** Whether a sidecar gets an entry (dapr-kubernetes.md 3.1): of its namespace, and for its app id or for all. */
export function mayHave(sidecar: Sidecar, entry: Distributed): boolean {
  if (entry.namespace !== sidecar.namespace) return false;
  if (entry.kind === "Configuration") return entry.name === sidecar.configuration;
  return entry.scopes.length === 0 || entry.scopes.includes(sidecar.appId);
}

/** What is said of one resource: what it is now, or that it is gone. */
interface Change {
  readonly entry: Distributed;
  readonly isGone: boolean;
}

export interface FeedOptions {
  readonly sidecar: Sidecar;
  /** There is something to take where there was nothing. */
  readonly onWaiting: () => void;
  /** More than {@link WAITING_MAX} resources wait: nothing more comes. */
  readonly onOverflow: () => void;
}

/** One stream's part of the table. Changes of one resource are joined: the newest wins, in the place of the first. */
export class Feed {
  readonly sidecar: Sidecar;
  readonly #options: FeedOptions;
  readonly #lines: Lines;
  /** The full set at the start; empty once it is taken. References only: the lines are shared by all streams. */
  #first: readonly Distributed[];
  #taken = 0;
  #isSynced = false;
  readonly #waiting = new Map<string, Change>();

  constructor(options: FeedOptions, lines: Lines, first: readonly Distributed[]) {
    this.sidecar = options.sidecar;
    this.#options = options;
    this.#lines = lines;
    this.#first = first;
  }

  /** The next line with its line end; null when there is nothing to say. */
  next(): Buffer | null {
    if (!this.#isSynced) return this.#nextOfFirst();
    for (const [place, { entry, isGone }] of this.#waiting) {
      this.#waiting.delete(place);
      const line = isGone ? encode({ type: "removed", kind: entry.kind, name: entry.name }) : this.#lines.of(entry);
      if (line !== null) return line;
    }
    return null;
  }

  put(change: Change): void {
    const wasEmpty = this.#waiting.size === 0;
    this.#waiting.set(placeOf(change.entry), change);
    if (this.#waiting.size > WAITING_MAX) this.#options.onOverflow();
    else if (wasEmpty) this.#options.onWaiting();
  }

  /** What changed while the full set was on its way is told in its newest form, or not at all when it is gone. */
  #nextOfFirst(): Buffer | null {
    while (this.#taken < this.#first.length) {
      const entry = this.#first[this.#taken++];
      if (entry === undefined) continue;
      const place = placeOf(entry);
      const changed = this.#waiting.get(place);
      this.#waiting.delete(place);
      const line = changed?.isGone === true ? null : this.#lines.of(changed?.entry ?? entry);
      if (line !== null) return line;
    }
    this.#first = [];
    this.#isSynced = true;
    return SYNCED;
  }
}

export class Publisher {
  readonly #table: ResourceTable;
  readonly #lines: Lines;
  readonly #feeds = new Map<string, Set<Feed>>();
  readonly #unlisten: () => void;

  constructor(table: ResourceTable, log: Log) {
    this.#table = table;
    this.#lines = new Lines(log);
    this.#unlisten = table.onChange((now, before) => this.#tell(now, before));
  }

  /** Begins a stream's part: everything it may have now, and from then on each change. */
  open(options: FeedOptions): Feed {
    const { namespace } = options.sidecar;
    const feed = new Feed(options, this.#lines, this.#given(options.sidecar));
    const feeds = this.#feeds.get(namespace) ?? new Set();
    this.#feeds.set(namespace, feeds.add(feed));
    return feed;
  }

  close(feed: Feed): void {
    const { namespace } = feed.sidecar;
    const feeds = this.#feeds.get(namespace);
    feeds?.delete(feed);
    if (feeds?.size === 0) this.#feeds.delete(namespace);
  }

  /** The names of the Components that the sidecar has now or is being given. */
  components(sidecar: Sidecar): ReadonlySet<string> {
    const components = this.#given(sidecar).filter(({ kind }) => kind === "Component");
    return new Set(components.map(({ name }) => name));
  }

  end(): void {
    this.#unlisten();
  }

  #given(sidecar: Sidecar): Distributed[] {
    return [...this.#table.of(sidecar.namespace)].filter((entry) => mayHave(sidecar, entry));
  }

  /** A scope that a sidecar lost is a resource that is gone for it, and one that it gained is new. */
  #tell(now: Distributed | null, before: Distributed | null): void {
    const namespace = (now ?? before)?.namespace ?? "";
    for (const feed of this.#feeds.get(namespace) ?? []) {
      if (now !== null && mayHave(feed.sidecar, now)) feed.put({ entry: now, isGone: false });
      else if (before !== null && mayHave(feed.sidecar, before)) feed.put({ entry: before, isGone: true });
    }
  }
}

/** The line of each entry, made when the first stream takes it and shared; it goes when the table's entry goes. */
class Lines {
  readonly #log: Log;
  readonly #made = new WeakMap<Distributed, { readonly line: Buffer | null }>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Null for one that cannot be sent. */
  of(entry: Distributed): Buffer | null {
    const known = this.#made.get(entry);
    if (known !== undefined) return known.line;
    const made = this.#make(entry);
    this.#made.set(entry, { line: made });
    return made;
  }

  /** Secrets may make a line longer than a sidecar reads: then each is a problem that the Component's status shows. */
  #make(entry: Distributed): Buffer | null {
    const { kind, namespace, name, resource, secrets } = entry;
    const whole = encode({ type: "resource", kind, name, resource, secrets });
    if (whole.length <= LINE_BYTES_MAX) return whole;
    const problem = `is left out: the Component and its secrets have ${whole.length} bytes, at most ${LINE_BYTES_MAX} can be sent`;
    const left: SecretPart[] = secrets.map((part) => ({ name: part.name, key: part.key, problem }));
    const line = encode({ type: "resource", kind, name, resource, secrets: left });
    const isSent = line.length <= LINE_BYTES_MAX;
    this.#log.error("a resource is too large to be sent as it is", {
      kind,
      namespace,
      name,
      bytes: whole.length,
      bytesMax: LINE_BYTES_MAX,
      done: isSent ? "sent without its secrets" : "not sent",
    });
    return isSent ? line : null;
  }
}

/** A message as a line of the stream. */
export function encode(message: StreamMessage): Buffer {
  return Buffer.from(`${JSON.stringify(message)}\n`);
}

const SYNCED = encode({ type: "synced" });
export const HEARTBEAT: Buffer = encode({ type: "heartbeat" });

function placeOf({ kind, name }: Distributed): string {
  return `${kind}/${name}`;
}
