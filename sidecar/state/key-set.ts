// A set of keys that can be very many: 8 bytes of a hash stand for each. Two of a million different keys share
// theirs in one of ten million such sets.
import { createHash } from "node:crypto";

const FIRST_SLOTS = 1024;

export class KeySet {
  /** Open addressing: a power of two, at most half full. Zero is a free slot. */
  #slots = new BigUint64Array(FIRST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(key: string): void {
    if (!insert(this.#slots, fingerprint(key))) return;
    this.#size++;
    if (this.#size * 2 <= this.#slots.length) return;
    const wider = new BigUint64Array(this.#slots.length * 2);
    for (const print of this.#slots) if (print !== 0n) insert(wider, print);
    this.#slots = wider;
  }
}

/** A cryptographic hash, so that nobody can choose keys that collide. Never zero. */
function fingerprint(key: string): bigint {
  return createHash("sha256").update(key).digest().readBigUInt64LE() | 1n;
}

/** False when it is there already. */
function insert(slots: BigUint64Array, print: bigint): boolean {
  const mask = slots.length - 1;
  let at = Number((print >> 1n) & BigInt(mask));
  for (let there = slots[at] ?? 0n; there !== 0n; there = slots[at] ?? 0n) {
    if (there === print) return false;
    at = (at + 1) & mask;
  }
  slots[at] = print;
  return true;
}
