// One connection to Redis from its opening to its end; it never reconnects. Commands of one turn of the event loop leave
// in one write. ioredis does sockets, TLS and the protocol; sign-in, timeouts and errors are here, because its own
// sign-in goes on after a failed SELECT and its retries send writes again.
import { Command, Redis, type RedisOptions } from "ioredis";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { type Address, formatAddress } from "./address.ts";
import type { Credentials, SignIn } from "./credentials.ts";
import {
  closedError,
  connectError,
  type Effect,
  type Ending,
  lossError,
  RedisError,
  replyError,
  unsentError,
} from "./errors.ts";

export interface LinkOptions {
  readonly address: Address;
  readonly credentials: Credentials;
  readonly database: number;
  /** Null: no TLS. */
  readonly tls: NonNullable<RedisOptions["tls"]> | null;
  /** What CLIENT LIST shows. */
  readonly name: string;
  readonly dialMs: number;
  readonly readMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export type Argument = string | Buffer;

/** Commands without an answer that a connection may have; more are refused, so that a slow server cannot fill memory. */
const IN_FLIGHT_MAX = 100_000;

/** Null asks ioredis for the bytes as they came. */
const AS_BYTES = { replyEncoding: null };

/** Commands that left together. */
interface Flight {
  /** How many commands have left with it and before it. */
  readonly upTo: number;
  readonly sentMs: number;
}

export class Link {
  readonly address: Address;
  readonly server: string;
  /** The command that tells a key's expiry: absolute from Redis 7 on, else what is left of it. */
  expiryCommand: "pexpiretime" | "pttl" = "pttl";
  /** The server has a module for JSON documents. */
  hasJson = false;
  readonly #redis: Redis;
  readonly #options: LinkOptions;
  readonly #ended: PromiseWithResolvers<Ending> = Promise.withResolvers();
  readonly #flights: Flight[] = [];
  readonly #flush: () => void;
  /** How many commands were given to this link, how many of them have left, how many were answered. */
  #given = 0;
  #left = 0;
  #answered = 0;
  #corked = false;
  /** The server knows no password. */
  #isOpenToAll = false;
  #watch: Timer | null = null;
  #ending: Ending | null = null;
  #failure: Error | null = null;

  private constructor(options: LinkOptions) {
    this.#options = options;
    this.address = options.address;
    this.server = formatAddress(options.address);
    this.#redis = new Redis(clientOptions(options));
    this.#redis.on("error", (error: Error) => {
      this.#failure ??= error;
    });
    this.#redis.on("end", () => this.#end("broken"));
    this.#flush = () => this.#leave();
  }

  /** Connects, signs in, selects the database and pings, or rejects with a RedisError and leaves nothing open. */
  static async open(options: LinkOptions, signal: AbortSignal): Promise<Link> {
    // Before all else: waiting for a token has its own limit, and no server waits meanwhile.
    const signIn = await options.credentials.current(formatAddress(options.address), signal);
    const link = new Link(options);
    const leave = (): void => link.close("closed");
    const timer = options.clock.after(options.dialMs, () => link.close("silent"));
    signal.addEventListener("abort", leave, { once: true });
    try {
      if (signal.aborted) throw closedError();
      await Promise.race([
        link.#redis.connect(),
        link.#ended.promise.then((ending) => Promise.reject(link.#lost(ending))),
      ]);
      await link.#begin(signIn);
      return link;
    } catch (error) {
      const failure = link.#openingError(error);
      link.close("broken");
      throw failure;
    } finally {
      timer.cancel();
      signal.removeEventListener("abort", leave);
    }
  }

  /** False once nothing can be sent any more. */
  get usable(): boolean {
    return this.#ending === null && this.#redis.status === "ready" && this.#redis.stream.writable;
  }

  /** Resolves at the connection's end, whoever ended it. */
  get ended(): Promise<Ending> {
    return this.#ended.promise;
  }

  /** Sends a command and gives its answer: Buffers, numbers, null, arrays of these. Rejects with a RedisError. */
  async call(effect: Effect, name: string, args: readonly Argument[]): Promise<unknown> {
    if (!this.usable) throw unsentError(this.#ending ?? "broken", this.server);
    if (this.#given - this.#answered >= IN_FLIGHT_MAX) {
      throw new RedisError("unavailable", `redis at ${this.server} is too slow: ${IN_FLIGHT_MAX} commands wait for it`);
    }
    if (!this.#corked) this.#cork();
    const number = ++this.#given;
    const command = new Command(name, args as Argument[], AS_BYTES);
    this.#redis.sendCommand(command);
    try {
      return await command.promise;
    } catch (error) {
      throw this.#explain(error, effect, number);
    } finally {
      this.#answered++;
    }
  }

  /** Answers what was sent, then ends the connection. */
  finish(): void {
    if (!this.usable) return;
    // The answer to QUIT is the end of the connection; losing it is what was asked for.
    this.call("read", "quit", []).catch(() => this.close("broken"));
  }

  /** Ends the connection at once; what is in flight rejects according to `ending`. May be called again. */
  close(ending: Ending): void {
    if (this.#ending !== null) return;
    this.#end(ending);
    // First of all, for disconnect() would send what is still corked, and wait for a server that may never answer.
    // There is no stream before connecting begins.
    this.#redis.stream?.destroy();
    this.#redis.disconnect();
  }

  #end(ending: Ending): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    this.#watch?.cancel();
    this.#watch = null;
    this.#ended.resolve(ending);
  }

  #cork(): void {
    this.#corked = true;
    this.#redis.stream.cork();
    setImmediate(this.#flush);
  }

  #leave(): void {
    this.#corked = false;
    if (this.#ending !== null) return;
    this.#redis.stream.uncork();
    this.#dropLanded();
    this.#left = this.#given;
    this.#flights.push({ upTo: this.#left, sentMs: this.#options.clock.monotonicMs() });
    this.#watch ??= this.#options.clock.after(this.#options.readMs, () => this.#look());
  }

  #dropLanded(): void {
    while (this.#flights[0] !== undefined && this.#flights[0].upTo <= this.#answered) this.#flights.shift();
  }

  /** Ends a connection whose oldest command has waited too long: whatever came later waits behind it. */
  #look(): void {
    this.#watch = null;
    this.#dropLanded();
    const oldest = this.#flights[0];
    if (oldest === undefined) return;
    const leftMs = oldest.sentMs + this.#options.readMs - this.#options.clock.monotonicMs();
    if (leftMs <= 0) this.close("silent");
    else this.#watch = this.#options.clock.after(leftMs, () => this.#look());
  }

  async #begin(signIn: SignIn): Promise<void> {
    const { credentials, database, name } = this.#options;
    if (signIn.password !== "" || signIn.username !== "") await this.#authenticate(signIn);
    const unfollow = credentials.follow(this.server, signIn, (next) => this.#authenticate(next));
    void this.#ended.promise.then(unfollow);
    if (database !== 0) await this.call("read", "select", [String(database)]);
    await this.call("read", "ping", []);
    const [known, hasJson] = await Promise.all([
      this.#optional("command", ["INFO", "pexpiretime"]),
      this.#knowsJson(),
      this.#optional("client", ["SETNAME", name]),
    ]);
    if (Array.isArray(known) && known[0] !== null && known[0] !== undefined) this.expiryCommand = "pexpiretime";
    this.hasJson = hasJson;
  }

  /**
   * Asks as Dapr does (dapr-state-stores.md 2a), by a command without what it needs. A user who may not run it counts as
   * having the module: what he then cannot do is told, and not written in another form without a word.
   */
  async #knowsJson(): Promise<boolean> {
    try {
      await this.call("read", "json.get", []);
      return true;
    } catch (error) {
      if (!(error instanceof RedisError) || error.reply === null) throw error;
      return error.reply === "NOPERM" || error.message.includes("wrong number of arguments");
    }
  }

  /** Also while commands are under way: those behind it run as the new user, and a refusal leaves the old one. */
  async #authenticate(signIn: SignIn): Promise<void> {
    if (this.#isOpenToAll) return;
    const { username, password } = signIn;
    try {
      await this.call("read", "auth", username === "" ? [password] : [username, password]);
    } catch (error) {
      if (!(error instanceof RedisError)) throw error;
      // go-redis signs in as "default" there, which succeeds on a server without a password; so must the same manifest here.
      if (!isNeedless(error)) throw this.#refusal(error, signIn);
      this.#isOpenToAll = true;
      this.#options.log.warn("redis wants no password, one was given", { server: this.server });
    }
  }

  /** Whatever a server answers to AUTH, it has not taken what was offered, unless it can take nothing yet. */
  #refusal(error: RedisError, signIn: SignIn): RedisError {
    const { reply, repeatable, code } = error;
    const what = reply === null || repeatable ? null : this.#options.credentials.refused(this.server, signIn);
    if (what === null || reply === null) return error;
    // Words that no error here knows may be the only ones that tell the reason.
    const before = code === "failed" ? `${error.message}; it` : `redis at ${this.server}`;
    return new RedisError("unavailable", `${before} refused ${what}`, { reply });
  }

  /** For what an ACL may forbid or an old server not know, without harm. */
  async #optional(name: string, args: readonly Argument[]): Promise<unknown> {
    try {
      return await this.call("read", name, args);
    } catch (error) {
      if (error instanceof RedisError && error.reply !== null) return null;
      throw error;
    }
  }

  #explain(error: unknown, effect: Effect, number: number): RedisError {
    if (error instanceof Error && error.name === "ReplyError") return replyError(error.message, this.server);
    const ending = this.#ending ?? "broken";
    // A socket that the other side ends sends what is corked on its way out; one that is closed here does not.
    if (number > this.#left && ending !== "broken") return unsentError(ending, this.server);
    return this.#lost(ending, effect);
  }

  #lost(ending: Ending, effect: Effect = "read"): RedisError {
    const { readMs: timeoutMs } = this.#options;
    return lossError({ ending, effect, server: this.server, timeoutMs, cause: this.#failure });
  }

  #openingError(error: unknown): RedisError {
    if (error instanceof RedisError && error.reply !== null) return error;
    if (this.#ending === "closed") return new RedisError("closed", `gave up connecting to redis at ${this.server}`);
    if (this.#ending === "silent") {
      return connectError(this.server, new Error("no answer in time"));
    }
    return connectError(this.server, this.#failure ?? error);
  }
}

function isNeedless(error: RedisError): boolean {
  return error.message.includes("without any password configured") || error.message.includes("no password is set");
}

function clientOptions(options: LinkOptions): RedisOptions & { replyMapping: "legacy" } {
  return {
    host: options.address.host,
    port: options.address.port,
    ...(options.tls === null ? {} : { tls: options.tls }),
    lazyConnect: true,
    // Never again by itself, and nothing is kept to be sent later.
    retryStrategy: null,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableReadyCheck: false,
    connectTimeout: options.dialMs,
    // RESP2 has all that is needed here and does not begin with HELLO, which proxies and old servers do not know.
    protocol: 2,
    replyMapping: "legacy",
    disableClientInfo: true,
  };
}
