// From a pod to the wanted one as a JSON patch (RFC 6902), by comparing the two.
import { createPatch, type Operation } from "rfc6902";
import type { Pod } from "./object.ts";

export type { Operation };

type Diff = NonNullable<Parameters<typeof createPatch>[2]>;

/** Empty when nothing differs. */
export function patchOf(pod: Pod, wanted: Pod): Operation[] {
  return createPatch(pod, wanted, diffLists);
}

/**
 * Injection puts items before or behind those of a list, and changes some in their place. The library would try every
 * way from one list to the other, which takes the square of their lengths and a deep stack; anything else is left to it.
 */
const diffLists: Diff = (before: unknown, after: unknown, pointer) => {
  if (!Array.isArray(before) || !Array.isArray(after)) return undefined;
  const added = after.length - before.length;
  if (added < 0) return undefined;
  const inFront = before.every((item, index) => isSame(item, after[index + added]));
  if (!inFront && !before.every((item, index) => isSame(item, after[index]))) return undefined;
  const operations: Operation[] = [];
  const at = (index: number): string => pointer.add(String(index)).toString();
  if (inFront) for (const [index, value] of after.slice(0, added).entries()) operations.push(add(at(index), value));
  const shift = inFront ? added : 0;
  for (const [index, item] of before.entries()) {
    const wanted: unknown = after[index + shift];
    if (item === wanted) continue;
    const base = at(index + shift);
    for (const each of createPatch(item, wanted, diffLists)) operations.push({ ...each, path: base + each.path });
  }
  const behind = inFront ? [] : after.slice(before.length);
  for (const [index, value] of behind.entries()) operations.push(add(at(before.length + index), value));
  return operations;
};

function add(path: string, value: unknown): Operation {
  return { op: "add", path, value };
}

/** The same item, perhaps changed: its name says so, and for a mount its path. */
function isSame(before: unknown, after: unknown): boolean {
  if (before === after) return true;
  if (typeof before !== "object" || typeof after !== "object" || before === null || after === null) return false;
  const [left, right]: Readonly<Record<string, unknown>>[] = [{ ...before }, { ...after }];
  return left?.name !== undefined && left.name === right?.name && left.mountPath === right?.mountPath;
}
