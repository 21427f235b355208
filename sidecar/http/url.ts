// How Dapr reads a request target (dapr-state-api.md 1.2): the escaped path is cleaned and cut at its slashes, each
// part is then unescaped as a query is (`+` is a space), and of a repeated query name the first value counts.

export interface Target {
  /** The parts of the cleaned path, still escaped. */
  readonly parts: readonly string[];
  /** What follows the first question mark; "" when there is none. */
  readonly query: string;
}

const QUESTION = "?";

/** Cuts up a request target. An absolute one ("http://host/path") loses its origin. */
export function parseTarget(url: string): Target {
  const start = url.startsWith("/") ? 0 : originLength(url);
  const mark = url.indexOf(QUESTION, start);
  const path = mark < 0 ? url.slice(start) : url.slice(start, mark);
  return { parts: cleanParts(path), query: mark < 0 ? "" : url.slice(mark + 1) };
}

function originLength(url: string): number {
  const scheme = url.indexOf("://");
  if (scheme < 0) return 0;
  const slash = url.indexOf("/", scheme + 3);
  return slash < 0 ? url.length : slash;
}

/** The path without empty parts, "." and "..", and without a slash at its end. */
function cleanParts(path: string): string[] {
  const parts: string[] = [];
  let start = 1;
  while (start <= path.length) {
    const slash = path.indexOf("/", start);
    const end = slash < 0 ? path.length : slash;
    if (end > start) {
      const part = path.slice(start, end);
      if (part === "..") parts.pop();
      else if (part !== ".") parts.push(part);
    }
    start = end + 1;
  }
  return parts;
}

/** Query unescaping of one part. Null when an escape is broken or the result is not UTF-8. */
export function unescapePart(part: string): string | null {
  if (!needsUnescaping(part)) return part;
  const bytes = Buffer.allocUnsafe(part.length);
  let length = 0;
  for (let i = 0; i < part.length; i++) {
    const code = part.charCodeAt(i);
    if (code === 0x25) {
      const byte = hexByte(part, i + 1);
      if (byte < 0) return null;
      bytes[length++] = byte;
      i += 2;
    } else bytes[length++] = code === 0x2b ? 0x20 : code;
  }
  const text = bytes.toString("utf8", 0, length);
  return Buffer.byteLength(text) === length && !text.includes("\u{fffd}")
    ? text
    : strictUtf8(bytes.subarray(0, length));
}

function needsUnescaping(part: string): boolean {
  for (let i = 0; i < part.length; i++) {
    const code = part.charCodeAt(i);
    if (code === 0x25 || code === 0x2b || code > 0x7e) return true;
  }
  return false;
}

/** A replacement character may have been sent as such; only the strict decoder tells the two apart. */
function strictUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/** -1 for what is none, also for NaN behind the end of the text. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 0x37;
  if (code >= 0x61 && code <= 0x66) return code - 0x57;
  return -1;
}

const NO_QUERY: ReadonlyMap<string, string> = new Map();

/** Names and first values. A pair with a broken escape or a semicolon is passed over, as Go's parser does. */
export function parseQuery(query: string): ReadonlyMap<string, string> {
  if (query === "") return NO_QUERY;
  const values = new Map<string, string>();
  for (const pair of query.split("&")) {
    if (pair === "" || pair.includes(";")) continue;
    const equals = pair.indexOf("=");
    const name = unescapePart(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : unescapePart(pair.slice(equals + 1));
    if (name !== null && value !== null && !values.has(name)) values.set(name, value);
  }
  return values;
}

const METADATA_PREFIX = "metadata.";
const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

/** The `metadata.*` parameters of a query without their prefix, on top of `base`. */
export function withQueryMetadata(
  query: ReadonlyMap<string, string>,
  base: Readonly<Record<string, string>> = NO_METADATA,
): Readonly<Record<string, string>> {
  let merged: Map<string, string> | null = null;
  for (const [name, value] of query) {
    if (!name.startsWith(METADATA_PREFIX)) continue;
    merged ??= new Map(Object.entries(base));
    merged.set(name.slice(METADATA_PREFIX.length), value);
  }
  return merged === null ? base : Object.fromEntries(merged);
}
