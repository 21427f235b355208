// One request and its answer, as the handlers see them. Everything is answered through `send`, once.
import { systemClock } from "#kit/clock.ts";
import type { Caller } from "../state/service.ts";
import { isTooLarge, readBody } from "./body.ts";
import type { HttpRequest, HttpResponse } from "./message.ts";
import type { ServerTiming } from "./server-timing.ts";
import { parseQuery } from "./url.ts";

const JSON_TYPE = "application/json";

/** What the request's Expect header asks for; only in HTTP/1.1 does it mean anything. */
export type Expectation = "nothing" | "continue" | "unknown";

export class Exchange implements Caller {
  readonly request: HttpRequest;
  readonly response: HttpResponse;
  readonly expects: Expectation;
  /** Unescaped path parameters, in the pattern's order. */
  parameters: readonly string[] = [];
  /** The status that was sent; 0 before that. */
  status = 0;
  /** Bytes of the request's body that were read. */
  receivedBytes = 0;
  /** Bytes of the body that was sent. */
  sentBytes = 0;
  /** Null unless answers are to tell of it. */
  timing: ServerTiming | null = null;
  readonly #queryText: string;
  readonly #sharedHeaders: string[] = [];
  #query: ReadonlyMap<string, string> | null = null;
  #abort: AbortController | null = null;
  /** The client holds its body back until it is asked for it. */
  #isHeldBack: boolean;

  constructor(request: HttpRequest, response: HttpResponse, queryText: string, expects: Expectation) {
    this.request = request;
    this.response = response;
    this.expects = expects;
    this.#queryText = queryText;
    this.#isHeldBack = expects === "continue";
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

  /** Of a call of a store, in milliseconds. */
  onStore(ms: number): void {
    this.timing?.add(ms);
  }

  /** The request's body; see `readBody`. A client that waits to be asked for it is asked now, unless it is too large. */
  async body(bytesMax: number, errorPrefix: string): Promise<Buffer> {
    if (this.#isHeldBack && !isTooLarge(this.request, bytesMax)) {
      this.#isHeldBack = false;
      this.response.writeContinue();
    }
    const body = await readBody(this.request, bytesMax, errorPrefix);
    this.receivedBytes = body.length;
    return body;
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
    if (this.timing !== null) headers.push("Server-Timing", this.timing.text());
    if (body !== null) {
      this.sentBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
      headers.push("Content-Length", String(this.sentBytes));
    }
    this.response.writeHead(status, headers);
    // Who is still sending reads its answer later.
    const isHalfRead = !this.request.complete && !this.#isHeldBack;
    if (!isHalfRead) this.response.end(body ?? undefined);
    else {
      if (body === null || body.length === 0) this.response.flushHeaders();
      else this.response.write(body);
      discardRest(this.request, () => this.response.end());
    }
  }

  /**
   * A JSON body in pieces, written as fast as the client takes it: pieces may be windows on the same bytes, which are
   * then in memory once.
   */
  async sendPieces(status: number, pieces: readonly Uint8Array[]): Promise<void> {
    const { response } = this;
    let length = 0;
    for (const piece of pieces) length += piece.length;
    this.status = status;
    this.sentBytes = length;
    const headers = ["Content-Type", JSON_TYPE, "Content-Length", String(length), ...this.#sharedHeaders];
    if (this.timing !== null) headers.push("Server-Timing", this.timing.text());
    response.writeHead(status, headers);
    response.cork();
    for (const piece of pieces) {
      if (response.write(piece)) continue;
      response.uncork();
      await drained(response);
      if (response.destroyed) return;
      response.cork();
    }
    response.end();
  }
}

/** Resolves when the client has taken what was written, or is gone. */
function drained(response: HttpResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const go = (): void => {
      response.off("drain", go);
      response.off("close", go);
      resolve();
    };
    response.on("drain", go);
    response.on("close", go);
  });
}

/** A refused body is passed over for this long, in milliseconds, so that the client can read why. */
const LINGER_MS = 2_000;

/** Calls `done` when the rest of the request has come, the client is gone, or the time is over. */
function discardRest(request: HttpRequest, done: () => void): void {
  const timer = systemClock.after(LINGER_MS, () => finish());
  const finish = (): void => {
    timer.cancel();
    request.off("end", finish);
    request.off("close", finish);
    done();
  };
  request.on("end", finish);
  request.on("close", finish);
  request.resume();
}
