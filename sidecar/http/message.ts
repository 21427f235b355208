// A request and its answer as the handlers' side needs them, whichever version of HTTP they came by. The classes of
// node:http fit as they are; h2.ts makes the same of a stream.
import type { IncomingHttpHeaders } from "node:http";

export interface HttpRequest {
  readonly method?: string | undefined;
  /** The request target. */
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  /** All of it has come. "end" without this means that the client broke off. */
  readonly complete: boolean;
  on(event: "data", listener: (chunk: Buffer) => void): unknown;
  on(event: "end" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  off(event: "data", listener: (chunk: Buffer) => void): unknown;
  off(event: "end" | "close", listener: () => void): unknown;
  /** Lets the rest flow, into nothing when nobody listens. */
  resume(): unknown;
}

export interface HttpResponse {
  readonly headersSent: boolean;
  /** The sidecar has said all that it had to say. */
  readonly writableEnded: boolean;
  readonly writableNeedDrain: boolean;
  /** The client is gone, or has its answer. */
  readonly destroyed: boolean;
  writeContinue(): void;
  /** `headers`: names and values in turn. */
  writeHead(status: number, headers: string[]): unknown;
  flushHeaders(): void;
  /** False: wait for "drain". */
  write(chunk: string | Uint8Array): boolean;
  end(chunk?: string | Uint8Array): unknown;
  cork(): void;
  uncork(): void;
  /** Breaks the answer off, so that the client sees that it is not whole. */
  destroy(): unknown;
  on(event: "drain" | "close", listener: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
  off(event: "drain" | "close", listener: () => void): unknown;
}
