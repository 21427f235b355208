// A scanner over JSON text in bytes (RFC 8259). It reads the few members that the state API knows and tells where a
// value begins and ends, so that a value is stored exactly as it came: never decoded, never encoded again.

/** What is wrong with the text, and at which byte. */
export class JsonFault extends Error {
  override readonly name = "JsonFault";
}

/** Deeper nesting than this is refused, as Go's decoder does. */
export const DEPTH_MAX = 10_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const END = -1;

const LITERALS = { n: "null", t: "true", f: "false" } as const;

export type JsonKind = "object" | "array" | "string" | "number" | "boolean" | "null";

export class JsonScanner {
  readonly #bytes: Buffer;
  #at = 0;
  /** Objects and arrays around what is read now. */
  #depth = 0;

  /** `bytes` must be valid UTF-8. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The kind of the value that comes next, by its first byte. Throws when none can begin there. */
  kind(): JsonKind {
    this.#skipSpace();
    const byte = this.#peek();
    if (byte === OPEN_OBJECT) return "object";
    if (byte === OPEN_ARRAY) return "array";
    if (byte === QUOTE) return "string";
    if (byte === 0x6e) return "null";
    if (byte === 0x74 || byte === 0x66) return "boolean";
    if (byte === MINUS || isDigit(byte)) return "number";
    throw this.#unexpected("looking for beginning of value");
  }

  /** Passes over one value of any kind and gives its exact bytes (a window, not a copy), without the space around it. */
  span(): Buffer {
    this.#skipSpace();
    const start = this.#at;
    this.#skipValue();
    return this.#bytes.subarray(start, this.#at);
  }

  /** Reads an object and calls `member` with each name; it must take exactly one value each time. */
  object(member: (name: string) => void): void {
    this.#expect(OPEN_OBJECT, "looking for beginning of object");
    this.#skipSpace();
    if (this.#take(CLOSE_OBJECT)) return;
    this.#depth++;
    do {
      this.#skipSpace();
      if (this.#peek() !== QUOTE) throw this.#unexpected("looking for beginning of object key string");
      const name = this.string();
      this.#skipSpace();
      this.#expect(COLON, "after object key");
      member(name);
      this.#skipSpace();
    } while (this.#take(COMMA));
    this.#expect(CLOSE_OBJECT, "after object key:value pair");
    this.#depth--;
  }

  /** Reads an array and calls `item` with each index; it must take exactly one value each time. */
  array(item: (index: number) => void): void {
    this.#expect(OPEN_ARRAY, "looking for beginning of array");
    this.#skipSpace();
    if (this.#take(CLOSE_ARRAY)) return;
    this.#depth++;
    let index = 0;
    do {
      item(index++);
      this.#skipSpace();
    } while (this.#take(COMMA));
    this.#expect(CLOSE_ARRAY, "after array element");
    this.#depth--;
  }

  /** Reads a string. A lone surrogate escape becomes U+FFFD, as in Go. */
  string(): string {
    this.#skipSpace();
    const start = this.#at + 1;
    const plain = this.#skipString();
    if (plain) return this.#bytes.toString("utf8", start, this.#at - 1);
    const decoded: unknown = JSON.parse(this.#bytes.toString("utf8", start - 1, this.#at));
    return String(decoded).toWellFormed();
  }

  /** Reads a number as its text. */
  number(): string {
    const span = this.span();
    return span.toString("latin1");
  }

  /** Whether nothing but space is left. */
  atEnd(): boolean {
    this.#skipSpace();
    return this.#at === this.#bytes.length;
  }

  /** Without recursion: nesting costs no stack. */
  #skipValue(): void {
    /** What has been opened and not yet closed, innermost last. */
    const open: number[] = [];
    for (;;) {
      this.#skipSpace();
      const byte = this.#peek();
      if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.#at++;
        if (this.#depth + open.length === DEPTH_MAX) {
          throw new JsonFault(`exceeded max depth of ${DEPTH_MAX} at byte ${this.#at}`);
        }
        if (!this.#take(closing(byte), true)) {
          open.push(byte);
          if (byte === OPEN_OBJECT) this.#skipName();
          continue;
        }
      } else this.#skipScalar(byte);
      if (this.#closeAfterValue(open)) return;
    }
  }

  /** After a value: passes over closing brackets up to the next comma. True when the outermost value is complete. */
  #closeAfterValue(open: number[]): boolean {
    for (;;) {
      const innermost = open.at(-1);
      if (innermost === undefined) return true;
      this.#skipSpace();
      if (this.#take(COMMA)) {
        if (innermost === OPEN_OBJECT) this.#skipName();
        return false;
      }
      const place = innermost === OPEN_OBJECT ? "after object key:value pair" : "after array element";
      this.#expect(closing(innermost), place);
      open.pop();
    }
  }

  #skipName(): void {
    this.#skipSpace();
    if (this.#peek() !== QUOTE) throw this.#unexpected("looking for beginning of object key string");
    this.#skipString();
    this.#skipSpace();
    this.#expect(COLON, "after object key");
  }

  #skipScalar(byte: number): void {
    if (byte === QUOTE) this.#skipString();
    else if (byte === MINUS || isDigit(byte)) this.#skipNumber();
    else if (byte === 0x6e) this.#skipLiteral(LITERALS.n);
    else if (byte === 0x74) this.#skipLiteral(LITERALS.t);
    else if (byte === 0x66) this.#skipLiteral(LITERALS.f);
    else throw this.#unexpected("looking for beginning of value");
  }

  /** Passes over a string. True when it has no escapes, so that its bytes are its text. */
  #skipString(): boolean {
    const bytes = this.#bytes;
    let plain = true;
    let at = this.#at + 1;
    for (;;) {
      const byte = bytes[at] ?? END;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        plain = false;
        at = this.#skipEscape(at);
      } else if (byte < 0x20) {
        this.#at = at;
        throw this.#unexpected("in string literal");
      } else at++;
    }
    this.#at = at + 1;
    return plain;
  }

  #skipEscape(at: number): number {
    this.#at = at + 1;
    const byte = this.#peek();
    if (byte !== 0x75) {
      if (byte === END || !'"\\/bfnrt'.includes(String.fromCharCode(byte)))
        throw this.#unexpected("in string escape code");
      return at + 2;
    }
    for (let i = 0; i < 4; i++) {
      this.#at++;
      if (!isHexDigit(this.#peek())) throw this.#unexpected("in \\u hexadecimal character escape");
    }
    return at + 6;
  }

  #skipNumber(): void {
    if (this.#peek() === MINUS) this.#at++;
    if (this.#peek() === ZERO) this.#at++;
    else this.#skipDigits("in numeric literal");
    if (this.#peek() === DOT) {
      this.#at++;
      this.#skipDigits("after decimal point in numeric literal");
    }
    const byte = this.#peek();
    if (byte !== 0x65 && byte !== 0x45) return;
    this.#at++;
    if (this.#peek() === MINUS || this.#peek() === PLUS) this.#at++;
    this.#skipDigits("in exponent of numeric literal");
  }

  #skipDigits(place: string): void {
    if (!isDigit(this.#peek())) throw this.#unexpected(place);
    while (isDigit(this.#peek())) this.#at++;
  }

  #skipLiteral(literal: string): void {
    for (let i = 0; i < literal.length; i++) {
      if (this.#peek() !== literal.charCodeAt(i)) throw this.#unexpected(`in literal ${literal}`);
      this.#at++;
    }
  }

  #skipSpace(): void {
    const bytes = this.#bytes;
    for (;;) {
      const byte = bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #peek(): number {
    return this.#bytes[this.#at] ?? END;
  }

  #take(byte: number, afterSpace = false): boolean {
    if (afterSpace) this.#skipSpace();
    if (this.#peek() !== byte) return false;
    this.#at++;
    return true;
  }

  #expect(byte: number, place: string): void {
    this.#skipSpace();
    if (!this.#take(byte)) throw this.#unexpected(place);
  }

  /** In the words of Go's decoder, which Dapr's clients may know, with the place added. */
  #unexpected(place: string): JsonFault {
    if (this.#at >= this.#bytes.length) return new JsonFault(this.#bytes.length === 0 ? "EOF" : "unexpected EOF");
    const shown = this.#bytes.toString("utf8", this.#at, this.#at + 4).slice(0, 1);
    return new JsonFault(`invalid character ${JSON.stringify(shown)} ${place} (byte ${this.#at})`);
  }
}

/** Whether `bytes` are one JSON text and nothing else. */
export function isJsonText(bytes: Buffer): boolean {
  try {
    const scanner = new JsonScanner(bytes);
    scanner.span();
    return scanner.atEnd();
  } catch (error) {
    if (error instanceof JsonFault) return false;
    throw error;
  }
}

function closing(open: number): number {
  return open === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
