// What the operator has given to this sidecar, over all its streams. A new stream's full set counts once it is whole:
// until then the former one stays. Knows no connection.
import type { ResourceKind, ResourceMessage, StreamMessage } from "#crds/distribution.ts";
import { BrokenStream, type PassedOver } from "./operator-lines.ts";

/** Most resources of one sidecar, of all kinds. */
const RESOURCES_MAX = 5000;

const NONE: ReadonlySet<ResourceKind> = new Set();

export class OperatorSet {
  #now: ReadonlyMap<string, ResourceMessage> = new Map();
  /** The full set of the present stream, as far as it has come; null once it was whole. */
  #coming: Map<string, ResourceMessage> | null = new Map();
  /** Named by lines of the coming set that could not be read: they are not gone. */
  #unread = new Set<string>();

  /** A new stream begins. */
  begin(): void {
    this.#coming = new Map();
    this.#unread = new Set();
  }

  /** The full set of the present stream has come. */
  get isWhole(): boolean {
    return this.#coming === null;
  }

  find(kind: ResourceKind, name: string): ResourceMessage | null {
    return this.#now.get(keyOf({ kind, name })) ?? null;
  }

  /** Sorted by name. An equal one that comes again stays the very same object. */
  all(kind: ResourceKind): readonly ResourceMessage[] {
    return [...this.#now.values()]
      .filter((each) => each.kind === kind)
      .sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** Gives the kinds of which something is another now. Throws a {@link BrokenStream} for more than it holds. */
  take(message: StreamMessage | PassedOver): ReadonlySet<ResourceKind> {
    switch (message.type) {
      case "heartbeat":
        return NONE;
      case "passed-over":
        if (message.kind !== null && message.name !== null)
          this.#unread.add(keyOf({ kind: message.kind, name: message.name }));
        return NONE;
      case "synced":
        return this.#coming === null ? NONE : this.#replace(this.#whole(this.#coming));
      default:
        return this.#change(message);
    }
  }

  #change(message: Extract<StreamMessage, { readonly kind: ResourceKind }>): ReadonlySet<ResourceKind> {
    const next = this.#coming ?? new Map(this.#now);
    if (message.type === "removed") next.delete(keyOf(message));
    else next.set(keyOf(message), message);
    if (next.size > RESOURCES_MAX) throw new BrokenStream(`it sent more than ${RESOURCES_MAX} resources`);
    return next === this.#coming ? NONE : this.#replace(next);
  }

  #whole(coming: Map<string, ResourceMessage>): Map<string, ResourceMessage> {
    for (const key of this.#unread) {
      const kept = this.#now.get(key);
      if (kept !== undefined && !coming.has(key)) coming.set(key, kept);
    }
    this.#coming = null;
    return coming;
  }

  #replace(next: Map<string, ResourceMessage>): ReadonlySet<ResourceKind> {
    const changed = new Set<ResourceKind>();
    for (const [key, message] of next) {
      const before = this.#now.get(key);
      // With each change of one resource all the others pass by here as they are: that must cost nothing.
      if (before === message) continue;
      if (before !== undefined && JSON.stringify(before) === JSON.stringify(message)) next.set(key, before);
      else changed.add(message.kind);
    }
    for (const [key, { kind }] of this.#now) if (!next.has(key)) changed.add(kind);
    this.#now = next;
    return changed;
  }
}

function keyOf({ kind, name }: { readonly kind: ResourceKind; readonly name: string }): string {
  return `${kind}/${name}`;
}
