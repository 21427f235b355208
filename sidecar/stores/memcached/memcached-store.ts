// The Store of state.memcached: calls become meta commands to the server that has the key. What differs from Dapr on
// purpose is in docs/stores/memcached.md.
import type { Clock } from "#kit/clock.ts";
import type { Call, Features, Found, Limits, Read, Removal, Store, Traits, Write } from "../store.ts";
import { StoreError } from "../store.ts";
import { lossError, replyError } from "./failures.ts";
import { placeOf } from "./hosts.ts";
import { isRefusal, type Link } from "./link.ts";
import {
  deleteCommand,
  getCommand,
  KEY_BYTES_MAX,
  type KeyToken,
  type Reply,
  setCommand,
  tokenOf,
  VERSION_COMMAND,
} from "./protocol.ts";

export interface MemcachedStoreParts {
  /** In the order of the manifest, never empty. */
  readonly links: readonly Link[];
  readonly etags: boolean;
  /** Null where the servers do not tell. */
  readonly valueBytesMax: number | null;
  readonly clock: Clock;
}

/** Servers count time in whole seconds. */
const EXPIRY_STEP_MS = 1000;
/** Where memcached begins to take a time for the hour, and where its hours end (2038). */
const RELATIVE_SEC_MAX = 2_592_000;
const HOUR_SEC_MAX = 2_147_483_647;

interface Server {
  readonly link: Link;
  readonly token: KeyToken;
}

export class MemcachedStore implements Store {
  readonly features: Features;
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: EXPIRY_STEP_MS,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "every read sees the last write: a key is on one server",
    strongWrite: "the write is in the memory of its server; a restart loses it, and a full memory may",
  };
  readonly capabilities: readonly string[];
  readonly defaultTtlSec = null;
  readonly #parts: MemcachedStoreParts;

  constructor(parts: MemcachedStoreParts) {
    this.#parts = parts;
    this.features = { etag: parts.etags, transactions: false, ttl: true, list: false };
    this.capabilities = parts.etags ? ["ETAG", "TTL"] : ["TTL"];
    this.limits = {
      valueBytesMax: parts.valueBytesMax,
      keyBytesMax: KEY_BYTES_MAX,
      operationsMax: null,
      ttlSecMin: 1,
    };
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    const { link, token } = this.#server(key);
    const reply = await this.#ask(link, getCommand(token), false, call);
    switch (reply.words[0]) {
      case "EN":
        return null;
      case "VA":
        return this.#found(reply);
      default:
        throw lossError("garbled", link.server, false);
    }
  }

  async set(write: Write, call: Call): Promise<void> {
    const { key, bytes, etag, firstWrite } = write;
    const { valueBytesMax } = this.#parts;
    const { link, token } = this.#server(key);
    if (valueBytesMax !== null && bytes.length > valueBytesMax)
      throw new StoreError("refused", `a value of ${bytes.length} bytes, memcached keeps at most ${valueBytesMax}`);
    const add = etag === null && firstWrite;
    const exptime = this.#exptime(write.ttlSec);
    const set = setCommand({ key: token, bytes, exptime, cas: casOf(etag), add });
    expectDone(await this.#ask(link, set, true, call), link);
  }

  /** First-write has no say in a delete. */
  async remove({ key, etag }: Removal, call: Call): Promise<void> {
    const { link, token } = this.#server(key);
    const reply = await this.#ask(link, deleteCommand(token, casOf(etag)), true, call);
    if (reply.words[0] === "NF" && etag === null) return;
    expectDone(reply, link);
  }

  /** All at once over the connections that there are: what is asked in one turn leaves in one piece. */
  getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const answers = new Map<string, Promise<Found | null>>();
    const answerOf = (key: string): Promise<Found | null> => {
      const answer = answers.get(key) ?? this.get(key, read, call);
      answers.set(key, answer);
      return answer;
    };
    return Promise.all(
      keys.map((key) =>
        answerOf(key).catch((error: unknown) => {
          if (error instanceof StoreError && error.code === "refused") return error;
          throw error;
        }),
      ),
    );
  }

  /** Each server answers. */
  async ping(call: Call): Promise<void> {
    await Promise.all(this.#parts.links.map((link) => this.#ask(link, VERSION_COMMAND, false, call)));
  }

  async close(): Promise<void> {
    for (const link of this.#parts.links) link.close();
  }

  #server(key: string): Server {
    const { links } = this.#parts;
    const bytes = Buffer.from(key);
    const link = links[placeOf(bytes, links.length)];
    if (link === undefined) throw new StoreError("failed", "the store has no server");
    return { link, token: tokenOf(bytes) };
  }

  async #ask(link: Link, bytes: Buffer, isWrite: boolean, { signal }: Call): Promise<Reply> {
    const [reply] = await link.send({ bytes, isWrite, until: null }, signal);
    if (reply === undefined) throw lossError("garbled", link.server, isWrite);
    if (isRefusal(reply)) throw replyError(reply.words.join(" "), link.server);
    return reply;
  }

  #found({ words, value }: Reply): Found {
    let etag: string | null = null;
    let leftSec = -1;
    for (const word of words.slice(2)) {
      if (word.startsWith("c")) etag = word.slice(1);
      else if (word.startsWith("t")) leftSec = Number(word.slice(1));
    }
    return {
      bytes: value ?? new Uint8Array(0),
      etag: this.#parts.etags ? etag : null,
      // Rounded up by the server, as is the time of expiry: it goes with the second that comes then.
      expiresAtMs: leftSec < 0 ? null : this.#parts.clock.nowMs() + leftSec * 1000,
    };
  }

  /** memcached's word for an expiry. The server's second has begun by then: one more, so that no value goes early. */
  #exptime(ttlSec: number | null): number {
    if (ttlSec === null) return 0;
    const sec = ttlSec + 1;
    if (sec < RELATIVE_SEC_MAX) return sec;
    const hourSec = Math.floor(this.#parts.clock.nowMs() / 1000) + sec;
    if (hourSec <= HOUR_SEC_MAX) return hourSec;
    throw new StoreError(
      "refused",
      `a TTL of ${ttlSec} s: memcached keeps no value beyond 2038-01-19, and would drop it at once`,
    );
  }
}

const CAS_MAX = 2n ** 64n - 1n;
const CAS_DIGITS_MAX = 20;

/** The CAS number that an ETag names; null for no ETag. Throws for a text that memcached never makes. */
function casOf(etag: string | null): string | null {
  if (etag === null) return null;
  if (etag.length <= CAS_DIGITS_MAX && /^[1-9]\d*$/.test(etag) && BigInt(etag) <= CAS_MAX) return etag;
  throw otherEtag();
}

function expectDone({ words }: Reply, link: Link): void {
  switch (words[0]) {
    case "HD":
      return;
    case "NS":
      throw new StoreError("etag-mismatch", "item already exists and no etag was passed");
    case "EX":
      throw otherEtag();
    case "NF":
      throw new StoreError("etag-mismatch", "there is no value under the key, or it has expired");
    default:
      throw lossError("garbled", link.server, true);
  }
}

function otherEtag(): StoreError {
  return new StoreError("etag-mismatch", "the value has another etag than the one passed");
}
