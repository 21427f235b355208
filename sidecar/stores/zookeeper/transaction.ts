// Changes as one transaction of ZooKeeper: for each node the change that stands at the end, under the condition that it is
// as it was seen. Knows no connection.
import { type Change, StoreError } from "../store.ts";
import { ANY_VERSION, type Operation, type Stat } from "./messages.ts";
import { nodesAbove } from "./paths.ts";

/** A node as it was seen. */
export interface Node {
  readonly stat: Stat;
  /** False for one that only stands above others. It is no value, whoever made it. */
  readonly hasValue: boolean;
}

/** Null: there is no such node. */
export type Nodes = ReadonlyMap<string, Node | null>;

/** A change's condition. */
interface Condition {
  readonly path: string;
  /** Null: there must be no value. */
  readonly etag: string | null;
  /** "change 2 of 3: ", or nothing for a change that is alone. */
  readonly place: string;
}

export interface Plan {
  readonly conditions: readonly Condition[];
  /** By path, the change that stands at the end. */
  readonly last: ReadonlyMap<string, Change>;
}

/** `alone`: the errors name no place. First-write has no say in a delete. */
export function planOf(changes: readonly Change[], alone: boolean, pathOf: (key: string) => string): Plan {
  const conditions: Condition[] = [];
  const last = new Map<string, Change>();
  for (const [index, change] of changes.entries()) {
    const { key, etag, firstWrite } = change.kind === "upsert" ? change.write : change.removal;
    const path = pathOf(key);
    const place = alone ? "" : `change ${index + 1} of ${changes.length}: `;
    if (etag !== null || (firstWrite && change.kind === "upsert")) conditions.push({ path, etag, place });
    last.set(path, change);
  }
  return { conditions, last };
}

/**
 * The version of a node and the transaction that made it: of a node that was deleted and made again versions begin anew,
 * and an older ETag must not fit it.
 */
export function etagOf({ version, czxid }: Stat): string {
  return `${version}-${czxid.toString(16)}`;
}

/** Throws etag-mismatch for the first condition that does not hold of the nodes. */
export function mustHold({ conditions }: Plan, nodes: Nodes): void {
  for (const { path, etag, place } of conditions) {
    const node = nodes.get(path) ?? null;
    const value = node?.hasValue === true ? node : null;
    if (etag === null && value !== null)
      throw new StoreError("etag-mismatch", `${place}item already exists and no etag was passed`);
    if (etag !== null && value === null)
      throw new StoreError("etag-mismatch", `${place}there is no value under the key`);
    if (etag !== null && value !== null && etagOf(value.stat) !== etag)
      throw new StoreError("etag-mismatch", `${place}the value has another etag than the one passed`);
  }
}

/** What is to be done, given what was seen; it fails as a whole where a node is no longer as a condition needs it. */
export function operationsOf({ conditions, last }: Plan, nodes: Nodes): readonly Operation[] {
  const bound = new Set(conditions.map(({ path }) => path));
  const above = new Set([...last].flatMap(([path, { kind }]) => (kind === "upsert" ? nodesAbove(path) : [])));
  return [...last].flatMap(([path, change]) => {
    const data = change.kind === "upsert" ? change.write.bytes : null;
    const wanted = { path, data, isBound: bound.has(path), isAbove: above.has(path) };
    const node = nodes.get(path) ?? null;
    return node === null ? onNothing(wanted) : on(node, wanted);
  });
}

interface Wanted {
  readonly path: string;
  /** Null: no value. */
  readonly data: Uint8Array | null;
  /** A condition was found to hold, and has to hold at the end too. */
  readonly isBound: boolean;
  /** Another change of the transaction needs the node above its own. */
  readonly isAbove: boolean;
}

function onNothing({ path, data, isBound }: Wanted): readonly Operation[] {
  const create: Operation = { kind: "create", path, data };
  if (data !== null) return [create];
  // A node can only be made where none is.
  return isBound ? [create, { kind: "delete", path, version: ANY_VERSION }] : [];
}

function on({ stat, hasValue }: Node, { path, data, isBound, isAbove }: Wanted): readonly Operation[] {
  const version = isBound ? stat.version : ANY_VERSION;
  if (data !== null) return [{ kind: "set", path, data, version }];
  if (!hasValue) return isBound ? [{ kind: "check", path, version }] : [];
  // A node with others below it cannot go, but its value can.
  return [isAbove || stat.numChildren > 0 ? { kind: "set", path, data, version } : { kind: "delete", path, version }];
}
