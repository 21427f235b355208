// Sends calls to one of several servers of a cluster: goes on to the next where a server cannot be reached, signs in,
// gives every call its time. Knows no message but the one for signing in.
import { type ClientUnaryCall, Metadata } from "@grpc/grpc-js";
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { Channel } from "../grpc/channel.ts";
import type { Endpoint } from "./endpoints.ts";
import { abandonedError, closedError, EtcdError, leftError, statusError, unusableError } from "./failures.ts";
import { decodeToken, encodeAuthenticate, METHODS, type Method } from "./messages.ts";

/** PEM texts; `cert` and `key` are empty without a client certificate. */
interface TlsTexts {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface EtcdClientOptions {
  readonly endpoints: readonly Endpoint[];
  /** Null without TLS. */
  readonly tls: TlsTexts | null;
  /** Null where etcd's authentication is off. */
  readonly user: { readonly name: string; readonly password: string } | null;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Request {
  readonly method: Method;
  readonly message: Uint8Array;
}

/** Longest that one attempt waits for its answer, connecting included: as long as Dapr's driver waits. */
const CALL_MS = 5_000;
/** Not more often than servers allow (--grpc-keepalive-min-time, 5 s). */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_ANSWER_MS = 5_000;

const CHANNEL_OPTIONS = {
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_ANSWER_MS,
  "grpc.enable_http_proxy": 0,
};

export class EtcdClient {
  readonly #options: EtcdClientOptions;
  /** Made when they are first used, and anew after a server has not answered. */
  readonly #channels = new Map<Endpoint, Channel>();
  readonly #calls = new Set<(ending: "closed") => void>();
  /** Where the next call goes. */
  #place = 0;
  #token: Promise<string> | null = null;
  /** What became of the servers that failed and have not answered since: the log tells of each once. */
  readonly #failing = new Map<Endpoint, string>();
  #opened = false;
  #closed = false;

  constructor(options: EtcdClientOptions) {
    this.#options = options;
  }

  /** Gives the answer's message. Rejects with an EtcdError; a write whose outcome is not known is never sent twice. */
  async send({ method, message }: Request, signal: AbortSignal): Promise<Uint8Array> {
    const { length } = this.#options.endpoints;
    let silent = 0;
    // One attempt for each server, and one more for a connection that broke or a token that has run out.
    for (let left = length; ; left--) {
      let token: Promise<string> | null = null;
      try {
        this.#mustBeOpen();
        token = this.#signedIn(signal);
        const metadata = requireLeader();
        if (token !== null) metadata.set("token", await token);
        return await this.#attempt({ method, message }, metadata, signal);
      } catch (error) {
        if (!(error instanceof EtcdError) || error.again === null || left === 0) throw error;
        // Who has hung is not asked twice: each time it would take as long.
        if (error.code === "timeout" && ++silent === length) throw error;
        // Not where another call has signed in anew meanwhile.
        if (error.again === "sign-in" && token === this.#token) this.#token = null;
      }
    }
  }

  /** The store is open: from now on the log tells of servers that fail. Until then the error of who opens it tells. */
  opened(): void {
    this.#opened = true;
    for (const [endpoint, error] of this.#failing) this.#warn(endpoint, error);
  }

  /** Ends everything at once: calls under way reject. May be called again. */
  close(): void {
    this.#closed = true;
    for (const end of this.#calls) end("closed");
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw closedError();
  }

  /** The token of the user; null where there is none to sign in. One call signs in for all that wait. */
  #signedIn(signal: AbortSignal): Promise<string> | null {
    const { user } = this.#options;
    if (user === null) return null;
    if (this.#token === null) {
      const request = { method: METHODS.authenticate, message: encodeAuthenticate(user.name, user.password) };
      const token = this.#attempt(request, requireLeader(), signal).then(decodeToken);
      this.#token = token;
      token.catch(() => {
        if (this.#token === token) this.#token = null;
      });
    }
    return this.#token;
  }

  #attempt({ method, message }: Request, metadata: Metadata, signal: AbortSignal): Promise<Uint8Array> {
    if (signal.aborted) return Promise.reject(leftError());
    this.#mustBeOpen();
    const endpoint = this.#endpoint();
    const { client } = this.#channel(endpoint);
    const isWrite = method.effect === "write";
    return new Promise((resolve, reject) => {
      let call: ClientUnaryCall | null = null;
      const settle = (): void => {
        signal.removeEventListener("abort", leave);
        this.#calls.delete(abandon);
      };
      const abandon = (ending: "left" | "closed"): void => {
        settle();
        reject(abandonedError(ending, endpoint.address, isWrite));
        call?.cancel();
      };
      const leave = (): void => abandon("left");
      signal.addEventListener("abort", leave, { once: true });
      this.#calls.add(abandon);
      const deadline = this.#options.clock.nowMs() + CALL_MS;
      call = client.makeUnaryRequest(
        method.path,
        asBuffer,
        (answer: Buffer): Uint8Array => answer,
        message,
        metadata,
        { deadline },
        (status, answer) => {
          settle();
          if (status === null) {
            this.#failing.delete(endpoint);
            return resolve(answer ?? new Uint8Array(0));
          }
          const error = statusError({ status, server: endpoint.address, isWrite });
          this.#learn(endpoint, error);
          reject(error);
        },
      );
    });
  }

  /** A server that is away or silent is not asked next, and loses its connection. */
  #learn(endpoint: Endpoint, error: EtcdError): void {
    if (this.#closed || (error.again !== "elsewhere" && error.code !== "timeout" && error.code !== "unknown-outcome"))
      return;
    if (endpoint === this.#endpoint()) {
      this.#place = (this.#place + 1) % this.#options.endpoints.length;
      if (this.#opened && !this.#failing.has(endpoint)) this.#warn(endpoint, error.message);
      this.#failing.set(endpoint, error.message);
    }
    if (error.code !== "timeout") return;
    this.#channels.get(endpoint)?.close();
    this.#channels.delete(endpoint);
  }

  #warn({ address }: Endpoint, error: string): void {
    this.#options.log.warn("etcd server fails", { server: address, error });
  }

  #endpoint(): Endpoint {
    const endpoint = this.#options.endpoints[this.#place];
    assert(endpoint !== undefined, "the place is within the endpoints");
    return endpoint;
  }

  #channel(endpoint: Endpoint): Channel {
    const made = this.#channels.get(endpoint);
    if (made !== undefined) return made;
    const channel = channelTo(endpoint, this.#options.tls);
    this.#channels.set(endpoint, channel);
    return channel;
  }
}

/** The name that TLS asks for where a server is named by its address only. */
const NAMELESS = "etcd";

/** Throws an EtcdError where OpenSSL does not take the certificates, as one that is signed too weakly. */
function channelTo({ address }: Endpoint, texts: TlsTexts | null): Channel {
  const tls = texts && {
    ca: Buffer.from(texts.ca),
    cert: pemOrNull(texts.cert),
    key: pemOrNull(texts.key),
    nameless: NAMELESS,
  };
  try {
    return new Channel({ address, tls, options: CHANNEL_OPTIONS });
  } catch (error) {
    throw unusableError(address, error);
  }
}

/** A member that has lost its cluster says so at once, in place of waiting. */
function requireLeader(): Metadata {
  const metadata = new Metadata();
  metadata.set("hasleader", "true");
  return metadata;
}

function pemOrNull(text: string): Buffer | null {
  return text === "" ? null : Buffer.from(text);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
