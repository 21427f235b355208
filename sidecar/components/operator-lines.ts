// The operator's stream as messages: bytes to lines, lines to what crds/distribution.ts says they are. Knows no socket.
import {
  LINE_BYTES_MAX,
  parseMessage,
  RESOURCE_KINDS,
  type ResourceKind,
  type StreamMessage,
} from "#crds/distribution.ts";

/** The stream is not one that can be read on: whoever reads it has to begin anew. */
export class BrokenStream extends Error {
  override readonly name = "BrokenStream";
}

const LINE_END = 10;

/** Cuts bytes into lines, of at most {@link LINE_BYTES_MAX} bytes each. */
export class LineCutter {
  #pieces: Buffer[] = [];
  #bytes = 0;

  /** The lines that these bytes end, without their ends. Throws a {@link BrokenStream}. */
  take(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, from)) {
      this.#keep(chunk.subarray(from, end));
      lines.push(decode(Buffer.concat(this.#pieces)));
      this.#pieces = [];
      this.#bytes = 0;
      from = end + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  #keep(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > LINE_BYTES_MAX) throw new BrokenStream(`it sent a line of more than ${LINE_BYTES_MAX} bytes`);
    if (piece.length > 0) this.#pieces.push(piece);
  }
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // Throws for nothing but bytes that are no UTF-8.
    throw new BrokenStream("it sent a line that is not UTF-8");
  }
}

/** A line that is JSON and none of the messages: of a newer operator, or a resource that went wrong on its way. */
export interface PassedOver {
  readonly type: "passed-over";
  /** What it is about, as far as that can be told: such a resource is not gone. */
  readonly kind: ResourceKind | null;
  readonly name: string | null;
}

/** Throws a {@link BrokenStream} for what is no JSON object: what came before it may be as wrong. */
export function readMessage(line: string): StreamMessage | PassedOver {
  const message = parseMessage(line);
  if (message !== null) return message;
  const value = parseObject(line);
  const kind = RESOURCE_KINDS.find((each) => each === value.kind) ?? null;
  return { type: "passed-over", kind, name: typeof value.name === "string" ? value.name : null };
}

function parseObject(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The engine's message repeats the text, which may hold a secret: told below without it.
  }
  throw new BrokenStream("it sent a line that is no JSON object");
}
