// state.redis: one hash per key with the fields data and version, as Dapr lays it out (dapr-state-stores.md 2b).
// What differs from Dapr on purpose is in docs/stores/redis.md.
import type { Clock } from "#kit/clock.ts";
import type {
  Call,
  Change,
  Features,
  Found,
  Limits,
  ListPage,
  ListRequest,
  OpenContext,
  Read,
  Removal,
  Store,
  StoreDriver,
  Traits,
  Write,
} from "../store.ts";
import { StoreError, storeDriver } from "../store.ts";
import { Connection } from "./connection.ts";
import { RedisError } from "./errors.ts";
import { addressOf, check, fields, type RedisSettings, retryLimits, timeouts } from "./fields.ts";
import type { Argument, Link, LinkOptions } from "./link.ts";
import { canonicalVersion, readRow } from "./rows.ts";
import { scanPage } from "./scan.ts";
import { REMOVE, REMOVE_ROW, type Script, SET, TRANSACT, VERDICT } from "./scripts.ts";
import { StrongWrites } from "./strong.ts";

export const driver: StoreDriver = storeDriver<RedisSettings>({
  type: "state.redis",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  open,
});

async function open(settings: Readonly<RedisSettings>, context: OpenContext): Promise<Store> {
  const { clock, random, log } = context;
  const link = linkOptions(settings, context);
  const connection = await Connection.open({ link, retry: retryLimits(settings), clock, random, log }, context.signal);
  return new RedisStore(settings, connection, link.readMs, context);
}

function linkOptions(settings: Readonly<RedisSettings>, context: OpenContext): LinkOptions {
  const { dialMs, readMs } = timeouts(settings);
  if (settings.enableTLS && settings.insecureSkipTLSVerify) {
    context.log.warn("redis: the server's certificate is not verified", { component: context.component });
  }
  return {
    address: addressOf(settings),
    username: settings.redisUsername,
    password: settings.redisPassword,
    database: settings.redisDB,
    tls: settings.enableTLS ? tlsOptions(settings) : null,
    name: `pannier-${context.component}`,
    dialMs,
    readMs,
    clock: context.clock,
    log: context.log,
  };
}

function tlsOptions(settings: Readonly<RedisSettings>): NonNullable<LinkOptions["tls"]> {
  const rejectUnauthorized = !settings.insecureSkipTLSVerify;
  if (settings.clientCert === "" || settings.clientKey === "") return { rejectUnauthorized };
  return { rejectUnauthorized, cert: settings.clientCert, key: settings.clientKey };
}

const VALUE_BYTES_MAX = 512 * 1024 * 1024;
/** Redis runs a script alone: this many changes hold up every other client for some 30 ms. */
const OPERATIONS_MAX = 10_000;
/** Keys of a bulk read that are under way at once; the shared connection is not filled with one request. */
const BULK_CHUNK = 512;

class RedisStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: true, list: true };
  readonly limits: Limits = {
    valueBytesMax: VALUE_BYTES_MAX,
    keyBytesMax: VALUE_BYTES_MAX,
    operationsMax: OPERATIONS_MAX,
    ttlSecMin: 1,
  };
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "invalid",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "the same as any read: the server that redisHost names is asked",
    strongWrite: "as many replicas as strongAcks says have acknowledged the write within a second",
  };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];
  readonly defaultTtlSec: number | null;
  readonly #connection: Connection;
  readonly #strong: StrongWrites;
  readonly #clock: Clock;

  constructor(settings: Readonly<RedisSettings>, connection: Connection, readMs: number, context: OpenContext) {
    const ttlSec = settings.ttlInSeconds;
    this.defaultTtlSec = ttlSec !== null && ttlSec > 0 ? ttlSec : null;
    const { clock, log } = context;
    this.#connection = connection;
    const acks = settings.strongAcks === "connected" ? null : Number(settings.strongAcks);
    this.#strong = new StrongWrites({ connection, acks, readMs, clock, log });
    this.#clock = clock;
  }

  get(key: string, _read: Read, call: Call): Promise<Found | null> {
    return this.#read(call, (link) => readRow(link, key, this.#clock));
  }

  async set(write: Write, call: Call): Promise<void> {
    const args = ["1", write.key, etagArgument(write.etag), write.firstWrite ? "1" : "", ttlArgument(write)];
    const verdict = await this.#run(SET, [...args, asBuffer(write.bytes)], write.strong, call);
    if (verdict !== 0) throw refusal(Number(verdict), "");
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    const args = ["1", removal.key, etagArgument(removal.etag)];
    const verdict = await this.#run(REMOVE, args, removal.strong, call);
    if (verdict !== 0) throw refusal(Number(verdict), "");
  }

  /** Every key is read on its own and once, all of a chunk in one write; a failing key fails alone. */
  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const distinct = [...new Set(keys)];
    const answers = new Map<string, Found | null | StoreError>();
    const readInto = async (key: string): Promise<void> => {
      answers.set(key, await this.get(key, read, call).catch(asItem));
    };
    for (let at = 0; at < distinct.length; at += BULK_CHUNK) {
      await Promise.all(distinct.slice(at, at + BULK_CHUNK).map(readInto));
    }
    return keys.map((key) => answers.get(key) ?? null);
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    if (changes.length > OPERATIONS_MAX) {
      throw new StoreError("refused", `a transaction of ${changes.length} changes, want at most ${OPERATIONS_MAX}`);
    }
    const args: Argument[] = [String(changes.length)];
    for (const change of changes) args.push(change.kind === "upsert" ? change.write.key : change.removal.key);
    for (const [index, change] of changes.entries()) addChange(args, change, place(index + 1, changes.length));
    const strong = changes.some((change) => (change.kind === "upsert" ? change.write : change.removal).strong);
    const answer = await this.#run(TRANSACT, args, strong, call);
    const [verdict, failing] = Array.isArray(answer) ? answer : [];
    if (verdict !== 0) throw refusal(Number(verdict), place(Number(failing), changes.length));
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    return this.#read(call, (link) => scanPage({ ...request, link, clock: this.#clock, call }));
  }

  /** A script per key, all of a chunk in one write: what lies under the key is judged and deleted in one step. */
  async removeListed(keys: readonly string[], call: Call): Promise<number> {
    let removed = 0;
    for (let at = 0; at < keys.length; at += BULK_CHUNK) {
      const chunk = keys.slice(at, at + BULK_CHUNK);
      const answers = await Promise.all(chunk.map((key) => this.#run(REMOVE_ROW, ["1", key], false, call)));
      for (const answer of answers) removed += Number(answer);
    }
    return removed;
  }

  async ping(call: Call): Promise<void> {
    const link = this.#connection.current ?? (await this.#connection.next(call.signal));
    await link.call("read", "ping", []);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  /** What reads can be done again from its beginning. */
  async #read<T>(call: Call, task: (link: Link) => Promise<T>): Promise<T> {
    for (let made = 1; ; made++) {
      try {
        return await task(this.#connection.current ?? (await this.#connection.next(call.signal)));
      } catch (error) {
        await this.#connection.pause(error, made, call.signal);
      }
    }
  }

  async #run(script: Script, args: readonly Argument[], strong: boolean, call: Call): Promise<unknown> {
    for (let made = 1; ; made++) {
      try {
        const link = this.#connection.current ?? (await this.#connection.next(call.signal));
        if (!strong || !this.#strong.applies()) return await evaluate(link, script, args);
        return await this.#strong.run(async (own) => {
          const answer = await evaluate(own, script, args);
          return { answer, applied: answer === 0 || (Array.isArray(answer) && answer[0] === 0) };
        });
      } catch (error) {
        await this.#connection.pause(error, made, call.signal);
      }
    }
  }
}

/** Runs a script by its digest; a server that does not know it yet gets its text. A refused digest has run nothing. */
async function evaluate(link: Link, script: Script, args: readonly Argument[]): Promise<unknown> {
  try {
    return await link.call("write", "evalsha", [script.sha, ...args]);
  } catch (error) {
    if (!(error instanceof RedisError) || error.reply !== "NOSCRIPT") throw error;
    return await link.call("write", "eval", [script.text, ...args]);
  }
}

function addChange(args: Argument[], change: Change, where: string): void {
  if (change.kind === "upsert") {
    const { write } = change;
    args.push("upsert", etagArgument(write.etag, where), write.firstWrite ? "1" : "", ttlArgument(write));
    args.push(asBuffer(write.bytes));
  } else args.push("delete", etagArgument(change.removal.etag, where), "", "", "");
}

/** The version that an ETag names, or "" for none. Throws etag-invalid. */
function etagArgument(etag: string | null, where = ""): string {
  if (etag === null) return "";
  const version = canonicalVersion(etag);
  if (version === null) throw new StoreError("etag-invalid", `${where}an etag of redis is a whole number`);
  return version;
}

function ttlArgument(write: Write): string {
  return write.ttlSec === null ? "" : String(write.ttlSec);
}

/** ioredis would print any other view as a list of numbers. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function place(number: number, of: number): string {
  return `change ${number} of ${of}: `;
}

function asItem(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  throw error;
}

/** What a script's verdict means to the caller. */
function refusal(verdict: number, where: string): StoreError {
  switch (verdict) {
    case VERDICT.otherVersion:
      return new StoreError("etag-mismatch", `${where}the value has another etag than the one passed`);
    case VERDICT.nothingThere:
      return new StoreError("etag-mismatch", `${where}there is no value under the key, or it has expired`);
    case VERDICT.somethingThere:
      return new StoreError("etag-mismatch", `${where}item already exists and no etag was passed`);
    case VERDICT.badVersion:
      return new StoreError("corrupt", `${where}the hash's field 'version' is no counter that can be raised`);
    default:
      return new StoreError("failed", `${where}redis gave an answer that this script does not give`);
  }
}
