// One HTTP request to one of Azure's storage services on its way: its connection, its time, its answer. It ends once, and
// knows whether it was sent. Knows no service.
import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock, Timer } from "#kit/clock.ts";
import { codeOf, connectError, type Ending, lossError, type StorageAnswer, StorageError } from "./storage-failures.ts";

export interface StorageRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Behind the base's, encoded: "/container/name". */
  readonly path: string;
  /** Not encoded. */
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  /** It may change what is stored under a key. */
  readonly isWrite: boolean;
}

/** Longest wait for a connection, one's turn for it included. */
const CONNECT_MS = 5_000;
/** Longest time in which nothing comes, counted from the last byte. */
const SILENCE_MS = 10_000;
/** For a long body to go out: as on a line of 8 Mbit/s. */
const SEND_MS_PER_MIB = 1_000;
const MIB = 1024 * 1024;
/** More than any value that a request can bring. What is larger was not written as a value. */
const ANSWER_BYTES_MAX = 256 * MIB;

interface AttemptParts {
  readonly request: StorageRequest;
  readonly server: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called once, before one of the other two. */
  readonly over: () => void;
  readonly resolve: (answer: StorageAnswer) => void;
  readonly reject: (error: StorageError) => void;
}

export class Attempt {
  readonly #parts: AttemptParts;
  readonly #leave = (): void => this.end("left");
  #outgoing: ClientRequest | null = null;
  /** There is a connection, so that the request may have gone out on it. */
  #isSent = false;
  #isOver = false;
  /** When the attempt is over unless something comes. */
  #deadlineMs: number;
  #timer: Timer;

  constructor(parts: AttemptParts) {
    this.#parts = parts;
    const { clock, signal } = parts;
    this.#deadlineMs = clock.monotonicMs() + CONNECT_MS;
    this.#timer = clock.after(CONNECT_MS, () => this.#look());
    signal.addEventListener("abort", this.#leave, { once: true });
  }

  begin(outgoing: ClientRequest): void {
    this.#outgoing = outgoing;
    const { request } = this.#parts;
    outgoing.on("socket", (socket: Socket) => {
      if (!socket.connecting) return this.#connected();
      socket.once("encrypted" in socket ? "secureConnect" : "connect", () => this.#connected());
    });
    outgoing.on("error", (error) => this.#fail(error));
    outgoing.on("response", (incoming) => this.#read(incoming));
    outgoing.end(request.body ?? undefined);
  }

  /** Ends it without an answer. */
  end(ending: Ending): void {
    const { server, request } = this.#parts;
    this.#reject(lossError(ending, { server, mayHaveWritten: request.isWrite && this.#isSent }));
  }

  #connected(): void {
    this.#isSent = true;
    this.#extend(SILENCE_MS + ((this.#parts.request.body?.length ?? 0) / MIB) * SEND_MS_PER_MIB);
  }

  #read(incoming: IncomingMessage): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    this.#extend(SILENCE_MS);
    incoming.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      this.#extend(SILENCE_MS);
      if (bytes > ANSWER_BYTES_MAX) this.#reject(tooLarge(this.#parts.server));
    });
    // Follows every end; one in the middle of the body has no "end" before it.
    incoming.on("error", () => this.end("broken"));
    incoming.on("end", () => {
      const { statusCode: status = 0, headers } = incoming;
      const body = Buffer.concat(chunks, bytes);
      if (this.#settle()) this.#parts.resolve({ status, headers, body, code: codeOf(status, headers, body) });
    });
  }

  #fail(error: Error): void {
    if (this.#isSent) this.end("broken");
    else this.#reject(connectError(this.#parts.server, error));
  }

  #extend(ms: number): void {
    this.#deadlineMs = this.#parts.clock.monotonicMs() + ms;
  }

  #look(): void {
    const leftMs = this.#deadlineMs - this.#parts.clock.monotonicMs();
    if (leftMs > 0) this.#timer = this.#parts.clock.after(leftMs, () => this.#look());
    else if (this.#isSent) this.end("silent");
    else
      this.#reject(new StorageError("unavailable", `no connection to ${this.#parts.server} within ${CONNECT_MS} ms`));
  }

  #reject(error: StorageError): void {
    if (!this.#settle()) return;
    this.#outgoing?.destroy();
    this.#parts.reject(error);
  }

  /** Gives whether it was not over before. */
  #settle(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#timer.cancel();
    this.#parts.signal.removeEventListener("abort", this.#leave);
    this.#parts.over();
    return true;
  }
}

function tooLarge(server: string): StorageError {
  return new StorageError("corrupt", `${server} answers with more than ${ANSWER_BYTES_MAX} bytes, which no value has`);
}
