// Reads a request's body up to a limit.
import { malformed } from "../state/errors.ts";
import type { HttpRequest } from "./message.ts";

/** The client went away in the middle of its request: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

const EMPTY = Buffer.alloc(0);

/**
 * All bytes of the body. Throws `malformed` when there are more than `bytesMax` (0: no limit; exactly that many are
 * allowed) and {@link ClientGone} when the connection ends first.
 */
export function readBody(request: HttpRequest, bytesMax: number, errorPrefix: string): Promise<Buffer> {
  const announced = announcedBytes(request);
  if (isTooLarge(request, bytesMax)) return Promise.reject(tooLarge(bytesMax, errorPrefix));
  const preallocate = announced > ONE_CHUNK_BYTES && announced <= PREALLOCATED_BYTES_MAX;
  return preallocate ? readInto(request, announced) : readChunks(request, bytesMax, errorPrefix);
}

/** A body up to this size mostly comes in one chunk, which is then used as it is. */
const ONE_CHUNK_BYTES = 65_536;

/** Nobody gets more memory than this for a mere announcement. */
const PREALLOCATED_BYTES_MAX = 16 * 1024 * 1024;

/** A long body goes straight into one buffer: keeping its chunks until the end would hold it twice. */
function readInto(request: HttpRequest, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const body = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    // The parser gives exactly as many bytes as were announced.
    request.on("data", (chunk: Buffer) => {
      filled += chunk.copy(body, filled);
    });
    settle(request, () => resolve(body), reject);
  });
}

function readChunks(request: HttpRequest, bytesMax: number, errorPrefix: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (bytesMax > 0 && length > bytesMax) {
        // From here on the stream flows into nothing, and the connection stays usable.
        request.off("data", onData);
        chunks.length = 0;
        reject(tooLarge(bytesMax, errorPrefix));
      } else chunks.push(chunk);
    };
    request.on("data", onData);
    settle(request, () => resolve(join(chunks, length)), reject);
  });
}

function settle(request: HttpRequest, done: () => void, reject: (error: Error) => void): void {
  request.on("end", () => {
    if (request.complete) done();
  });
  request.on("error", reject);
  request.on("close", () => {
    if (!request.complete) reject(new ClientGone("the client closed the connection before its request was complete"));
  });
}

/** The Content-Length, or 0 when the body is chunked. */
export function announcedBytes(request: HttpRequest): number {
  return Number(request.headers["content-length"] ?? 0);
}

/** Whether more is announced than `bytesMax`, where 0 is no limit. */
export function isTooLarge(request: HttpRequest, bytesMax: number): boolean {
  return bytesMax > 0 && announcedBytes(request) > bytesMax;
}

function join(chunks: readonly Buffer[], length: number): Buffer {
  const only = chunks[0];
  if (only === undefined) return EMPTY;
  return chunks.length === 1 ? only : Buffer.concat(chunks, length);
}

/** Dapr answers 400 with these words, never 413 (dapr-state-api.md 1.14). */
function tooLarge(bytesMax: number, errorPrefix: string): Error {
  return malformed(`${errorPrefix}stream too large: the body has more than ${bytesMax} bytes (--max-body-size)`);
}
