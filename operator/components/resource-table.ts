// What sidecars may have, ready to be sent: the controllers fill it, the streams read it. Decides nothing about who.
import type { ResourceKind, SecretPart } from "#crds/distribution.ts";

export interface Distributed {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  /** App ids that may have it; empty for all of the namespace. A Configuration goes to pods that name it. */
  readonly scopes: readonly string[];
  /** The manifest, frozen, without managedFields and status. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly secrets: readonly SecretPart[];
}

/** Whose entry changed, what it is now (null: gone) and what it was (null: new). */
export type TableListener = (now: Distributed | null, before: Distributed | null) => void;

export class ResourceTable {
  /** By namespace, then by kind and name. */
  readonly #entries = new Map<string, Map<string, Distributed>>();
  readonly #listeners = new Set<TableListener>();

  /** Replaces what is known of it; an equal one changes nothing. */
  set(entry: Distributed): void {
    const place = placeOf(entry.kind, entry.name);
    const ofNamespace = this.#entries.get(entry.namespace) ?? new Map<string, Distributed>();
    this.#entries.set(entry.namespace, ofNamespace);
    const before = ofNamespace.get(place) ?? null;
    if (before !== null && isSame(before, entry)) return;
    ofNamespace.set(place, entry);
    for (const listener of this.#listeners) listener(entry, before);
  }

  remove(kind: ResourceKind, namespace: string, name: string): void {
    const ofNamespace = this.#entries.get(namespace);
    const before = ofNamespace?.get(placeOf(kind, name));
    if (ofNamespace === undefined || before === undefined) return;
    ofNamespace.delete(placeOf(kind, name));
    if (ofNamespace.size === 0) this.#entries.delete(namespace);
    for (const listener of this.#listeners) listener(null, before);
  }

  of(namespace: string): Iterable<Distributed> {
    return this.#entries.get(namespace)?.values() ?? [];
  }

  /** Gives the end of it. */
  onChange(listener: TableListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function placeOf(kind: ResourceKind, name: string): string {
  return `${kind}/${name}`;
}

function isSame(left: Distributed, right: Distributed): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}
