// How ZooKeeper writes numbers, texts and buffers (jute), and how its messages are cut out of a stream. Knows no message.

const START_BYTES = 256;
const INT_BYTES = 4;
const LONG_BYTES = 8;
/** The length of a buffer that is null, which is another than an empty one. */
const NULL_LENGTH = -1;

/** Writes one frame: its length comes first, and is known at the end. */
export class JuteWriter {
  #bytes = Buffer.allocUnsafe(START_BYTES);
  #end = INT_BYTES;

  int(value: number): this {
    this.#end = this.#room(INT_BYTES).writeInt32BE(value, this.#end);
    return this;
  }

  long(value: bigint): this {
    this.#end = this.#room(LONG_BYTES).writeBigInt64BE(value, this.#end);
    return this;
  }

  flag(value: boolean): this {
    this.#end = this.#room(1).writeUInt8(value ? 1 : 0, this.#end);
    return this;
  }

  /** Copies the bytes. */
  buffer(value: Uint8Array | null): this {
    if (value === null) return this.int(NULL_LENGTH);
    this.int(value.length);
    this.#room(value.length).set(value, this.#end);
    this.#end += value.length;
    return this;
  }

  text(value: string): this {
    return this.buffer(Buffer.from(value));
  }

  /** The frame, with its length in front. */
  finish(): Buffer {
    this.#bytes.writeInt32BE(this.#end - INT_BYTES, 0);
    return this.#bytes.subarray(0, this.#end);
  }

  #room(bytes: number): Buffer {
    const wanted = this.#end + bytes;
    if (wanted > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(wanted, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, this.#end);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}

/** Reads one frame without its length. Throws for a frame that ends too early. */
export class JuteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int(): number {
    const value = this.#bytes.readInt32BE(this.#at);
    this.#at += INT_BYTES;
    return value;
  }

  long(): bigint {
    const value = this.#bytes.readBigInt64BE(this.#at);
    this.#at += LONG_BYTES;
    return value;
  }

  flag(): boolean {
    const value = this.#bytes.readUInt8(this.#at);
    this.#at += 1;
    return value !== 0;
  }

  /** A window on the frame, or null where the sender wrote null. */
  buffer(): Buffer | null {
    const length = this.int();
    if (length === NULL_LENGTH) return null;
    if (length < 0 || length > this.#bytes.length - this.#at) throw new RangeError("a buffer beyond its frame");
    const value = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  /** Passes over a text. */
  skipText(): void {
    this.buffer();
  }
}

/** Larger than any server is set up to send; a length beyond it is no length. */
const FRAME_BYTES_MAX = 64 * 1024 * 1024;

/** Cuts what comes in, in whatever pieces, into frames. */
export class FrameReader {
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes that make the next frame whole; a large value comes in many pieces, which are put together once. */
  #wanted = INT_BYTES;

  /** Gives the frames that are whole, without their lengths. Throws for what cannot be the length of one. */
  read(chunk: Buffer): readonly Buffer[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#wanted) return [];
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    const frames: Buffer[] = [];
    for (;;) {
      this.#wanted = INT_BYTES;
      if (rest.length < INT_BYTES) break;
      const length = rest.readInt32BE(0);
      if (length < 0 || length > FRAME_BYTES_MAX) throw new RangeError("no length of a frame");
      this.#wanted = INT_BYTES + length;
      if (rest.length < this.#wanted) break;
      frames.push(rest.subarray(INT_BYTES, this.#wanted));
      rest = rest.subarray(this.#wanted);
    }
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    return frames;
  }
}
