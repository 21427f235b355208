// Keeps large bodies from piling up as garbage. V8 looks at what lies outside its heap only after some 60 MB of it, and
// the C library then keeps most of that for the process: 200 saves of 3 MB left 80 MB behind in every pod. A collection
// of the young generation after every few MB costs about a millisecond and leaves a third of it (docs/decisions/0005).
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Smaller bodies are collected in passing. */
const LARGE_BYTES = 64 * 1024;
/** Dead bytes that are worth a collection. */
const WORTH_BYTES = 4 * 1024 * 1024;

export class BodyGarbage {
  readonly #collect: () => void;
  #bytes = 0;

  constructor(collect: () => void) {
    this.#collect = collect;
  }

  /** Tells of a body that nobody needs any more. */
  note(bytes: number): void {
    if (bytes < LARGE_BYTES) return;
    this.#bytes += bytes;
    if (this.#bytes < WORTH_BYTES) return;
    this.#bytes = 0;
    this.#collect();
  }
}

/** V8's own collector for young objects, which Node hands out only on a flag. */
export function youngCollection(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  return typeof collect === "function" ? () => void collect({ type: "minor" }) : () => undefined;
}
