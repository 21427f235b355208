// The keys of a map in the order of their bytes, for walks. Knows no rows.
//
// A tree that is kept in order would cost every write, also where nobody ever lists. Here nothing is kept until the first
// walk; then new keys are noted, and the next walk sorts those few in. Keys that are gone stay until they are many.
import { compareUtf8 } from "#kit/utf8-order.ts";

/** When more keys have come and gone since the last walk than this and than there are keys, the order is given up. */
const CHANGES_MIN = 1024;

export class OrderedKeys {
  /** Null: nobody has walked lately, and nothing is kept. May hold keys that are gone. */
  #sorted: string[] | null = null;
  /** Keys that came after the last walk; some may stand in the order already, or be gone again. */
  readonly #added = new Set<string>();
  #gone = 0;

  /** Notes a key that was not there. */
  add(key: string): void {
    if (this.#sorted !== null) this.#added.add(key);
  }

  /** Notes a key that is no longer there; `size`: how many are left. */
  remove(size: number): void {
    if (this.#sorted === null) return;
    this.#gone++;
    if (this.#added.size + this.#gone > Math.max(CHANGES_MIN, size)) this.clear();
  }

  clear(): void {
    this.#sorted = null;
    this.#added.clear();
    this.#gone = 0;
  }

  /** All keys in order, as they are now, and perhaps some that are gone. Only valid until the next change. */
  sorted(keys: Iterable<string>): readonly string[] {
    if (this.#sorted === null) this.#sorted = [...keys].sort(compareUtf8);
    else if (this.#added.size > 0) this.#sorted = merged(this.#sorted, [...this.#added].sort(compareUtf8));
    this.#added.clear();
    return this.#sorted;
  }
}

/** Two ordered lists as one; what stands in both comes once. */
function merged(a: readonly string[], b: readonly string[]): string[] {
  const all: string[] = [];
  let at = 0;
  for (const key of b) {
    for (let next = a[at]; next !== undefined && compareUtf8(next, key) < 0; next = a[++at]) all.push(next);
    if (a[at] === key) at++;
    all.push(key);
  }
  for (; at < a.length; at++) all.push(a[at] ?? "");
  return all;
}

/** The first place in an ordered list whose key is not before `key`. */
export function placeOf(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareUtf8(sorted[middle] ?? "", key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
