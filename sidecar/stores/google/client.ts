// Calls of one of Google's services by gRPC: TLS and a signed-in account for the service, neither for an emulator; each
// call with its time, its caller who may leave, and an honest end (failures.ts). Whoever drives a service brings its
// messages (proto/clients/google/, by `npm run proto`), says which methods write, and decides what is tried again:
//
//   const client = new GoogleClient({ service: "spanner", endpoint, credentials, clock });
//   const session = await client.ask(CREATE_SESSION, { database, session }, { signal, deadlineMs, headers: [] });
//   await client.read(STREAMING_READ, request, how, (part) => isEnough(part));
//   client.close();
//
// `endpoint` comes from parseEndpoint (endpoint.ts), `credentials` from openCredentials (credentials.ts), both after the
// fields of fields.ts. Knows no service and no message.
import { type Client, Metadata, type ServiceError } from "@grpc/grpc-js";
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import type { Channel } from "../grpc/channel.ts";
import { StoreError } from "../store.ts";
import { channelTo } from "./channel.ts";
import type { Credentials } from "./credentials.ts";
import type { Endpoint } from "./endpoint.ts";
import { GoogleError, statusError } from "./failures.ts";
import { Pending } from "./pending.ts";

/** A message as ts-proto writes its functions. */
interface Message<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

export interface Method<I, O> {
  /** "/google.spanner.v1.Spanner/Commit". */
  readonly path: string;
  /** "write": it may change what is stored under a key, so that an end without an answer leaves that open. */
  readonly effect: "read" | "write";
  readonly request: Message<I>;
  readonly response: Message<O>;
}

export interface How {
  readonly signal: AbortSignal;
  /** When the call's time is up, by the clock's monotonic milliseconds. */
  readonly deadlineMs: number;
  /** More headers, in lower case. */
  readonly headers: Iterable<readonly [string, string]>;
}

export interface GoogleClientOptions {
  /** Stands before the address in errors. */
  readonly service: string;
  readonly endpoint: Endpoint;
  /** Null for an emulator. */
  readonly credentials: Credentials | null;
  readonly clock: Clock;
}

/** Sends a call over a channel, and calls `done` once: with what gRPC says against it, or with its result. */
type Send<O> = (call: {
  readonly channel: Client;
  readonly metadata: Metadata;
  readonly options: { readonly deadline: number };
  readonly done: (error: ServiceError | StoreError | null, result?: O) => void;
}) => { cancel(): void };

export class GoogleClient {
  /** Stands in errors: "spanner at 127.0.0.1:9010". */
  readonly server: string;
  readonly #options: GoogleClientOptions;
  readonly #pending: Pending;
  /** Made when it is first used, and anew after a call that had no answer in time. */
  #channel: Channel | null = null;

  constructor(options: GoogleClientOptions) {
    this.#options = options;
    this.server = `${options.service} at ${options.endpoint.address}`;
    this.#pending = new Pending(this.server, options.clock);
  }

  /** A call with one answer. Rejects with a StoreError, a GoogleError unless the sign-in failed. */
  ask<I, O>(method: Method<I, O>, message: I, how: How): Promise<O> {
    return this.#call<O>(method.effect, how, ({ channel, metadata, options, done }) =>
      channel.makeUnaryRequest(
        method.path,
        writer(method.request),
        reader(method.response),
        message,
        metadata,
        options,
        done,
      ),
    );
  }

  /**
   * A call with many answers, which only reads. It ends after the last one, when `take` gives false for enough, or with the
   * StoreError that `take` throws.
   */
  read<I, O>(method: Method<I, O>, message: I, how: How, take: (answer: O) => boolean): Promise<void> {
    assert(method.effect === "read", "a call with many answers writes nothing");
    return this.#call<void>(method.effect, how, ({ channel, metadata, options, done }) => {
      const stream = channel.makeServerStreamRequest(
        method.path,
        writer(method.request),
        reader(method.response),
        message,
        metadata,
        options,
      );
      let isEnough = false;
      stream.on("data", (answer: O) => {
        // More may be on the way when it is cancelled.
        if (isEnough) return;
        const taken = outcomeOf(take, answer);
        if (taken === true) return;
        isEnough = true;
        done(taken === false ? null : taken);
        stream.cancel();
      });
      stream.on("error", done);
      stream.on("end", () => done(null));
      return stream;
    });
  }

  /** Ends everything at once: calls under way reject. May be called again. */
  close(): void {
    this.#pending.close();
    this.#drop();
  }

  async #call<O>(effect: "read" | "write", how: How, send: Send<O>): Promise<O> {
    const metadata = new Metadata();
    for (const [name, value] of how.headers) metadata.set(name, value);
    for (const [name, value] of await this.#signIn(how)) metadata.set(name, value);
    const isWrite = effect === "write";
    const { clock } = this.#options;
    const options = { deadline: clock.nowMs() + how.deadlineMs - clock.monotonicMs() };
    let channel: Channel | null = null;
    try {
      return await this.#pending.run<O>({ ...how, isWrite }, ({ resolve, reject }) => {
        const done = (error: ServiceError | StoreError | null, result?: O): void => {
          if (error === null) resolve(result as O);
          else if (error instanceof StoreError) reject(error);
          else reject(statusError({ status: error, server: this.server, isWrite }));
        };
        channel = this.#open();
        return send({ channel: channel.client, metadata, options, done });
      });
    } catch (error) {
      // A server that is silent may be behind a connection that is dead: the next call gets another one. Unless one was
      // made since, which calls that were late together would give up one after the other.
      if (error instanceof GoogleError && error.ending === "late" && channel === this.#channel) this.#drop();
      throw error;
    }
  }

  /** Waits for what several calls share, as long as this one may wait: none ends with another's caller. */
  wait<T>(shared: Promise<T>, how: How): Promise<T> {
    // Where nobody waits for it any more, nobody hears that it failed.
    shared.catch(() => undefined);
    return this.#pending.run<T>({ ...how, isWrite: false }, ({ resolve, reject }) => {
      shared.then(resolve, reject);
      return { cancel: () => undefined };
    });
  }

  #signIn(how: How): Iterable<readonly [string, string]> | Promise<Iterable<readonly [string, string]>> {
    const { credentials: who } = this.#options;
    return who === null ? [] : this.wait(who.headers(), how);
  }

  #open(): Channel {
    this.#channel ??= channelTo(this.#options.endpoint);
    return this.#channel;
  }

  #drop(): void {
    this.#channel?.close();
    this.#channel = null;
  }
}

/** A listener of an event must not throw: nobody is there to catch. */
function outcomeOf<T>(take: (answer: T) => boolean, answer: T): boolean | StoreError {
  try {
    return take(answer);
  } catch (error) {
    return error instanceof StoreError
      ? error
      : new StoreError("failed", "an answer could not be read", { cause: error });
  }
}

function writer<T>({ encode }: Message<T>): (message: T) => Buffer {
  return (message) => {
    const bytes = encode(message).finish();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function reader<T>({ decode }: Message<T>): (bytes: Buffer) => T {
  return (bytes) => decode(bytes);
}
