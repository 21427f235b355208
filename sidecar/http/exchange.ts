// One request and its answer, as the handlers see them. Everything is answered through `send`, once.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Call } from "../stores/store.ts";
import { parseQuery } from "./url.ts";

const JSON_TYPE = "application/json";

export class Exchange implements Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Unescaped path parameters, in the pattern's order. */
  parameters: readonly string[] = [];
  /** The status that was sent; 0 before that. */
  status = 0;
  /** Bytes of the body that was sent. */
  sentBytes = 0;
  readonly #queryText: string;
  readonly #sharedHeaders: string[] = [];
  #query: ReadonlyMap<string, string> | null = null;
  #abort: AbortController | null = null;

  constructor(request: IncomingMessage, response: ServerResponse, queryText: string) {
    this.request = request;
    this.response = response;
    this.#queryText = queryText;
  }

  get query(): ReadonlyMap<string, string> {
    this.#query ??= parseQuery(this.#queryText);
    return this.#query;
  }

  /** A path parameter by its place in the pattern. */
  parameter(index: number): string {
    return this.parameters[index] ?? "";
  }

  /** Aborts when the client leaves before it has its answer. Made only for those who ask: most calls never do. */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      const abort = new AbortController();
      this.#abort = abort;
      const leave = (): void => {
        if (!this.response.writableEnded) abort.abort(new Error("the client left"));
      };
      if (this.response.destroyed) leave();
      else this.response.once("close", leave);
    }
    return this.#abort.signal;
  }

  /** A header that goes with the answer, whatever it will be (CORS, trace context). */
  share(name: string, value: string): void {
    this.#sharedHeaders.push(name, value);
  }

  /** 204 without a body. */
  sendNothing(): void {
    this.send(204, [], null);
  }

  sendJson(status: number, body: string | Buffer): void {
    this.send(status, ["Content-Type", JSON_TYPE], body);
  }

  sendText(status: number, body: string): void {
    this.send(status, ["Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff"], body);
  }

  /** Status, headers as a flat list of names and values, and the body. Does nothing when the client is gone. */
  send(status: number, headers: string[], body: string | Uint8Array | null): void {
    this.status = status;
    for (const item of this.#sharedHeaders) headers.push(item);
    if (body !== null) {
      this.sentBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
      headers.push("Content-Length", String(this.sentBytes));
    }
    this.response.writeHead(status, headers);
    if (body === null) this.response.end();
    else this.response.end(body);
  }
}
