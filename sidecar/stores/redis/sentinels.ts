// Finds the master that sentinels watch over, and watches whether they name another one. Knows the commands of
// sentinels, and nothing of what the master is used for (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
import type { Timer } from "#kit/clock.ts";
import { type Address, formatAddress, hostAndPort } from "./address.ts";
import { RedisError } from "./errors.ts";
import { Link, type LinkOptions } from "./link.ts";

export interface SentinelOptions {
  /** Where `redisHost` says that sentinels are; the first that answers names the others. */
  readonly sentinels: readonly Address[];
  readonly masterName: string;
  /** Of links to sentinels; they have users of their own. */
  readonly sentinelLink: Omit<LinkOptions, "address">;
  readonly masterLink: Omit<LinkOptions, "address">;
}

/** How long one sentinel may take to answer; the others are asked then. */
const ANSWER_MS = 1_000;
/** How often a sentinel is asked whether the master is still the same. */
const WATCH_EVERY_MS = 1_000;
const SENTINELS_MAX = 32;

export class Sentinels {
  readonly #options: SentinelOptions;
  /** By address, those that answered last in front. */
  readonly #known: Map<string, Address>;
  readonly #leaving = new AbortController();
  /** The one that was asked last. */
  #kept: Link | null = null;
  #timer: Timer | null = null;
  #isSilent = false;

  constructor(options: SentinelOptions) {
    this.#options = options;
    this.#known = new Map(options.sentinels.map((address) => [formatAddress(address), address]));
  }

  /** What errors call the master while nobody knows where it is. */
  get server(): string {
    return `the address that the sentinels have for master "${this.#options.masterName}"`;
  }

  /** Opens a link to the master, or rejects with a RedisError and leaves nothing open but a link to a sentinel. */
  async openMaster(signal: AbortSignal): Promise<Link> {
    const address = await this.locate(signal);
    const link = await Link.open({ ...this.#options.masterLink, address }, signal);
    try {
      await mustBeMaster(link);
      return link;
    } catch (error) {
      link.close("closed");
      throw error;
    }
  }

  /** Where the master is, by the first sentinel that says so. */
  async locate(signal: AbortSignal): Promise<Address> {
    const kept = this.#kept;
    if (kept?.usable) {
      try {
        return await this.#ask(kept);
      } catch {
        // Any of the others may know better, and all of them are asked for it.
        kept.close("closed");
      }
    }
    return this.#askAny(signal);
  }

  /** Calls `moved` when sentinels name another master than `server()`, which is null while there is none. */
  watch(server: () => string | null, moved: () => void): void {
    const { clock } = this.#options.masterLink;
    this.#timer = clock.after(WATCH_EVERY_MS, () => {
      this.#look(server, moved).finally(() => {
        if (!this.#leaving.signal.aborted) this.watch(server, moved);
      });
    });
  }

  close(): void {
    this.#leaving.abort();
    this.#timer?.cancel();
    this.#kept?.close("closed");
  }

  async #look(server: () => string | null, moved: () => void): Promise<void> {
    const { log } = this.#options.masterLink;
    try {
      const named = formatAddress(await this.locate(this.#leaving.signal));
      if (this.#isSilent) log.info("redis sentinels answer again");
      this.#isSilent = false;
      const now = server();
      if (now === null || now === named) return;
      log.info("redis sentinels name another master", { server: named, before: now });
      moved();
    } catch (error) {
      // The master serves without them; only its successor cannot be found.
      if (!this.#isSilent && !this.#leaving.signal.aborted)
        log.warn("redis sentinels name no master", { error: String(error) });
      this.#isSilent = true;
    }
  }

  /** Asks all at once, and keeps the link to the first that knows the master. */
  async #askAny(signal: AbortSignal): Promise<Address> {
    const race = new AbortController();
    const stop = AbortSignal.any([signal, this.#leaving.signal, race.signal]);
    const asked = [...this.#known.values()].map((address) => this.#askOne(address, stop));
    try {
      const [link, master] = await Promise.any(asked);
      this.#keep(link);
      return master;
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      race.abort();
      // Who comes second has a link that nobody wants; who fails then was answered for by the first.
      for (const each of asked)
        each.then(
          ([link]) => this.#kept !== link && link.close("closed"),
          () => undefined,
        );
    }
  }

  async #askOne(address: Address, signal: AbortSignal): Promise<[Link, Address]> {
    const { sentinelLink } = this.#options;
    const link = await Link.open(
      { ...sentinelLink, address, readMs: Math.min(sentinelLink.readMs, ANSWER_MS) },
      signal,
    );
    try {
      return [link, await this.#ask(link)];
    } catch (error) {
      link.close("closed");
      throw error;
    }
  }

  async #ask(sentinel: Link): Promise<Address> {
    const { masterName } = this.#options;
    const answer = await sentinel.call("read", "sentinel", ["GET-MASTER-ADDR-BY-NAME", masterName]).catch(noSentinel);
    const [host = "", port = ""] = Array.isArray(answer) ? answer.map(String) : [];
    const address = hostAndPort(host, port, sentinel.address);
    if (address !== null) return address;
    const text = `the sentinel at ${sentinel.server} knows no master "${masterName}"; check sentinelMasterName`;
    throw new RedisError("unavailable", text);
  }

  #keep(link: Link): void {
    if (this.#leaving.signal.aborted) {
      link.close("closed");
      return;
    }
    this.#kept = link;
    // For want of a right, or when it breaks, those that are known have to do.
    this.#learn(link).catch(() => undefined);
  }

  /** The other sentinels of this master, for the day on which those of `redisHost` are gone. */
  async #learn(sentinel: Link): Promise<void> {
    const answer = await sentinel.call("read", "sentinel", ["SENTINELS", this.#options.masterName]);
    for (const each of Array.isArray(answer) ? answer : []) {
      const facts: string[] = Array.isArray(each) ? each.map(String) : [];
      const of = (name: string): string => facts[facts.indexOf(name) + 1] ?? "";
      const address = hostAndPort(of("ip"), of("port"), sentinel.address);
      if (address !== null && this.#known.size < SENTINELS_MAX) this.#known.set(formatAddress(address), address);
    }
  }
}

/** Any other server does not know the command. */
function noSentinel(error: unknown): never {
  if (!(error instanceof RedisError) || error.code !== "failed") throw error;
  throw new RedisError("unavailable", `${error.message}; it is no sentinel, and failover wants sentinels in redisHost`);
}

/** A sentinel that has not heard of a failover yet names what is a replica by now. */
async function mustBeMaster(link: Link): Promise<void> {
  try {
    const info = String(await link.call("read", "info", ["replication"]));
    if (!info.includes("role:slave")) return;
  } catch (error) {
    // Who may not ask hears of it from the first write.
    if (error instanceof RedisError && error.reply === "NOPERM") return;
    throw error;
  }
  throw new RedisError("unavailable", `redis at ${link.server}, which a sentinel calls the master, is a replica`);
}
