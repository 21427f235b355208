// Reads a request's body up to a limit.
import type { IncomingMessage } from "node:http";
import { malformed } from "../state/errors.ts";

/** The client went away in the middle of its request: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

const EMPTY = Buffer.alloc(0);

/**
 * All bytes of the body. Throws `malformed` when there are more than `bytesMax` (0: no limit; exactly that many are
 * allowed) and {@link ClientGone} when the connection ends first.
 */
export function readBody(request: IncomingMessage, bytesMax: number, errorPrefix: string): Promise<Buffer> {
  const announced = announcedBytes(request);
  if (bytesMax > 0 && announced > bytesMax) return Promise.reject(tooLarge(bytesMax, errorPrefix));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (bytesMax > 0 && length > bytesMax) {
        request.off("data", onData);
        reject(tooLarge(bytesMax, errorPrefix));
      } else chunks.push(chunk);
    };
    request.on("data", onData);
    request.on("end", () => resolve(join(chunks, length)));
    request.on("error", reject);
    request.on("close", () =>
      reject(new ClientGone("the client closed the connection before its request was complete")),
    );
  });
}

/** The Content-Length, or 0 when the body is chunked. */
export function announcedBytes(request: IncomingMessage): number {
  return Number(request.headers["content-length"] ?? 0);
}

export function isTooLarge(request: IncomingMessage, bytesMax: number): boolean {
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
