// What is no HTTP request never reaches a handler: it is answered here, over the bare socket, and the connection ends.
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { systemClock } from "#kit/clock.ts";
import { shortAnswer } from "./errors.ts";

interface Reason {
  readonly status: number;
  readonly message: string;
}

/** By the code of Node's parser; every other fault of the parser is a bad request without more to say. */
const REASONS: Readonly<Record<string, Reason>> = {
  HPE_HEADER_OVERFLOW: { status: 431, message: "the request's head is too large (--read-buffer-size)" },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { status: 413, message: "the chunk extensions are too large" },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: "the request did not arrive in time" },
  HPE_INVALID_URL: {
    status: 400,
    message: "the request target holds a character that must be percent-encoded, as %C3%BC for ü",
  },
};
const NOT_HTTP: Reason = { status: 400, message: "this is not an HTTP/1.1 request" };

/** A connection that has its last answer stays open for so long, in milliseconds, so that the client can read it. */
const LINGER_MS = 2_000;

/**
 * For the server's "clientError" event, when every earlier answer is out: ends the connection, with a last answer when
 * the client is owed one.
 */
export function endConnection(error: Error, socket: Socket, isOwed: boolean): void {
  const code = "code" in error ? String(error.code) : "";
  // A connection that was opened ahead and not used: its owner would take a 408 for the answer to its first request.
  if (code === "ECONNRESET" || socket.bytesRead === 0) socket.destroy();
  // After an answer with "Connection: close" the socket is ending by itself, with that answer still on its way.
  if (!socket.writable) return;
  if (isOwed) socket.write(answerTo(code));
  socket.end();
  const timer = systemClock.after(LINGER_MS, () => socket.destroy());
  socket.once("close", () => timer.cancel());
}

function answerTo(code: string): string {
  const { status, message } = REASONS[code] ?? NOT_HTTP;
  const { body } = shortAnswer(status, "ERR_MALFORMED_REQUEST", message);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}
