// The events of a watch out of its chunks: JSON lines, each up to a limit. Knows no resource and keeps no state.
import { unanswered } from "./answer.ts";
import { KubeError } from "./client.ts";
import type { KubeObject } from "./object.ts";

/** Longest line, in bytes: an object of Kubernetes has at most 1.5 MiB in etcd, and escapes make it longer. */
export const WATCH_LINE_BYTES_MAX: number = 8 * 1024 * 1024;

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: KubeObject;
}

/** What came is no event of a watch: to ask for the rest after it may bring the same again, only a list helps. */
export class BrokenWatch extends Error {
  override readonly name = "BrokenWatch";
}

const NEWLINE = 0x0a;

/**
 * Gives each event as it comes. Throws {@link BrokenWatch} for bytes that are none, and a KubeError for an ERROR event
 * (its Status, as if the answer had that status). Half a line at the end is dropped: the connection was cut within it.
 */
export async function* watchEvents(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number = WATCH_LINE_BYTES_MAX,
): AsyncGenerator<WatchEvent, void> {
  for await (const line of linesOf(chunks, lineBytesMax)) yield parseEvent(line);
}

async function* linesOf(chunks: AsyncIterable<Buffer>, lineBytesMax: number): AsyncGenerator<Buffer, void> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const last = chunk.subarray(start, end);
      if (bytes + last.length > lineBytesMax) throw tooLong(lineBytesMax);
      const line = parts.length === 0 ? last : Buffer.concat([...parts, last]);
      parts = [];
      bytes = 0;
      start = end + 1;
      if (line.length > 0) yield line;
    }
    if (start === chunk.length) continue;
    parts.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > lineBytesMax) throw tooLong(lineBytesMax);
  }
}

function tooLong(bytesMax: number): BrokenWatch {
  return new BrokenWatch(`a line of the watch is longer than ${bytesMax} bytes`);
}

function parseEvent(line: Buffer): WatchEvent {
  let value: unknown;
  try {
    value = JSON.parse(line.toString("utf8"));
  } catch {
    // The parser's own words quote the line, which may be a Secret.
    throw new BrokenWatch(`a line of the watch is not JSON (${line.length} bytes)`);
  }
  const { type, object } = isMapping(value) ? value : {};
  if (type === "ERROR") throw statusError(isMapping(object) ? object : {});
  if (type !== "ADDED" && type !== "MODIFIED" && type !== "DELETED" && type !== "BOOKMARK") {
    throw new BrokenWatch("a line of the watch has no known type");
  }
  if (!isObject(object, type)) throw new BrokenWatch(`a line of the watch (${type}) has no object with a version`);
  return { type, object };
}

function statusError({ code, reason, message }: Readonly<Record<string, unknown>>): KubeError {
  if (typeof code !== "number") return unanswered("the watch ended with an error that has no code");
  return new KubeError(`the watch ended with ${code}: ${typeof message === "string" ? message.slice(0, 1000) : ""}`, {
    status: code,
    reason: typeof reason === "string" ? reason : null,
    retryAfterMs: null,
  });
}

/** A bookmark has a version and no name. */
function isObject(value: unknown, type: WatchEvent["type"]): value is KubeObject {
  if (!isMapping(value) || !isMapping(value.metadata)) return false;
  const { name, resourceVersion } = value.metadata;
  if (typeof resourceVersion !== "string" || resourceVersion === "") return false;
  return type === "BOOKMARK" || (typeof name === "string" && name !== "");
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
