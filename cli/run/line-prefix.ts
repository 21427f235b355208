// Puts a word before every line of a byte stream, so that the output of two programs can share a terminal.
// Works on bytes: what is no UTF-8 comes through as it is.
import { Transform, type TransformCallback } from "node:stream";

/** A longer line is broken here: without an end, a line would be held for ever. */
export const LINE_BYTES_MAX = 65_536;

const LINE_END = 0x0a;
const NOTHING: Buffer = Buffer.alloc(0);

export class LinePrefix extends Transform {
  readonly #prefix: Buffer;
  /** The beginning of a line whose end has not come yet; shorter than LINE_BYTES_MAX. */
  #held: Buffer = NOTHING;

  constructor(prefix: string) {
    super();
    this.#prefix = Buffer.from(prefix);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let rest = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const lines: Buffer[] = [];
    for (;;) {
      const end = rest.subarray(0, LINE_BYTES_MAX).indexOf(LINE_END);
      if (end === -1 && rest.length < LINE_BYTES_MAX) break;
      if (end === -1) {
        const cut = characterStart(rest, LINE_BYTES_MAX);
        lines.push(this.#prefix, rest.subarray(0, cut), Buffer.of(LINE_END));
        rest = rest.subarray(cut);
      } else {
        lines.push(this.#prefix, rest.subarray(0, end + 1));
        rest = rest.subarray(end + 1);
      }
    }
    this.#held = rest;
    done(null, lines.length === 0 ? undefined : Buffer.concat(lines));
  }

  /** A last line without its end gets one. */
  override _flush(done: TransformCallback): void {
    done(null, this.#held.length === 0 ? undefined : Buffer.concat([this.#prefix, this.#held, Buffer.of(LINE_END)]));
  }
}

const CHARACTER_BYTES_MAX = 4;

/** The last place at or before `at` where a UTF-8 character begins; `at` itself when the bytes are no UTF-8. */
function characterStart(bytes: Buffer, at: number): number {
  for (let start = at; start > at - CHARACTER_BYTES_MAX; start--) {
    if (((bytes[start] ?? 0) & 0xc0) !== 0x80) return start;
  }
  return at;
}
