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
 * Injection puts items into a list, all in one place, and changes some where they are. The library would try every way
 * from one list to the other, which takes the square of their lengths and a deep stack; anything else is left to it.
 */
const diffLists: Diff = (before: unknown, after: unknown, pointer) => {
  if (!Array.isArray(before) || !Array.isArray(after)) return undefined;
  const added = after.length - before.length;
  if (added < 0) return undefined;
  const other = before.findIndex((item, index) => !isSame(item, after[index]));
  // Behind `place` items that both have.
  const place = other < 0 ? before.length : other;
  if (!before.slice(place).every((item, index) => isSame(item, after[place + added + index]))) return undefined;
  const at = (index: number): string => pointer.add(String(index)).toString();
  const operations: Operation[] = [];
  for (let index = place; index < place + added; index++) operations.push(add(at(index), after[index]));
  for (const [index, item] of before.entries()) {
    const now = index < place ? index : index + added;
    if (item === after[now]) continue;
    for (const each of createPatch(item, after[now], diffLists))
      operations.push({ ...each, path: at(now) + each.path });
  }
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
