// state.redis: one hash per key with the fields data and version, or a JSON document with members of these names where the
// request asks for one and the server has them, as Dapr lays it out (dapr-state-stores.md 2b).
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
import type { Credentials } from "./credentials.ts";
import { check, fields, type RedisSettings } from "./fields.ts";
import { createIndexes, indexesOf } from "./indexes.ts";
import type { Argument, Link } from "./link.ts";
import { openCredentials, openTopology } from "./opening.ts";
import { type RowLink, readRow } from "./rows.ts";
import { scanPage } from "./scan.ts";
import {
  type ArgumentsFor,
  asksForDocument,
  changeArguments,
  etagArgument,
  writeArguments,
} from "./script-arguments.ts";
import { evaluate, REMOVE, REMOVE_ROW, type Script, SET, TRANSACT, VERDICT } from "./scripts.ts";
import { announced, type Node, type Topology } from "./topology.ts";
import { walkPage } from "./walk.ts";

export const driver: StoreDriver = storeDriver<RedisSettings>({
  type: "state.redis",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  packages: ({ useEntraID }) => (useEntraID ? [{ name: "@azure/identity", field: "useEntraID" }] : []),
  open,
});

async function open(settings: Readonly<RedisSettings>, context: OpenContext): Promise<Store> {
  const credentials = await openCredentials(settings, context);
  try {
    return await openStore(settings, credentials, context);
  } catch (error) {
    credentials.close();
    throw error;
  }
}

async function openStore(
  settings: Readonly<RedisSettings>,
  credentials: Credentials,
  context: OpenContext,
): Promise<Store> {
  const topology = await openTopology(settings, credentials, context);
  try {
    await createIndexes(indexesOf(settings.queryIndexes), topology.known, context);
    const hasJson = topology.known.some(({ connection }) => connection.current?.hasJson);
    return new RedisStore(settings, { topology, credentials, hasJson }, context.clock);
  } catch (error) {
    topology.close();
    throw error;
  }
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
    strongRead: "the same as any read: the master is asked",
    strongWrite: "as many replicas as strongAcks says have acknowledged the write within a second",
  };
  readonly capabilities: readonly string[];
  readonly defaultTtlSec: number | null;
  readonly #topology: Topology;
  readonly #credentials: Credentials;
  readonly #clock: Clock;

  constructor(
    settings: Readonly<RedisSettings>,
    { topology, credentials, hasJson }: { topology: Topology; credentials: Credentials; hasJson: boolean },
    clock: Clock,
  ) {
    const ttlSec = settings.ttlInSeconds;
    this.defaultTtlSec = ttlSec !== null && ttlSec > 0 ? ttlSec : null;
    this.capabilities = ["ETAG", "TRANSACTIONAL", "TTL", ...(hasJson ? ["QUERY_API"] : []), "KEYS_LIKE"];
    this.#topology = topology;
    this.#credentials = credentials;
    this.#clock = clock;
  }

  get(key: string, { metadata }: Read, call: Call): Promise<Found | null> {
    const likely = asksForDocument(metadata) ? "document" : "hash";
    return this.#read(key, call, (link) => readRow(link, key, this.#clock, likely));
  }

  async set(write: Write, call: Call): Promise<void> {
    const change = writeArguments(write);
    const args = (hasJson: boolean): Argument[] => ["1", write.key, ...change(hasJson)];
    const verdict = await this.#run({ script: SET, key: write.key, args, strong: write.strong }, call);
    if (verdict !== 0) throw refusal(Number(verdict), "");
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    const given = ["1", removal.key, etagArgument(removal.etag)];
    const args = (): readonly Argument[] => given;
    const verdict = await this.#run({ script: REMOVE, key: removal.key, args, strong: removal.strong }, call);
    if (verdict !== 0) throw refusal(Number(verdict), "");
  }

  /** Every key is read on its own and once, all of a chunk in one write to each server; a failing key fails alone. */
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
    const keys = changes.map((change) => (change.kind === "upsert" ? change.write.key : change.removal.key));
    const stray = this.#topology.strayOf(keys);
    if (stray > 0) throw strayError(place(stray + 1, changes.length));
    const given = changes.map((change, index) => changeArguments(change, place(index + 1, changes.length)));
    const args = (hasJson: boolean): Argument[] => {
      const all: Argument[] = [String(changes.length), ...keys];
      for (const each of given) all.push(...each(hasJson));
      return all;
    };
    const strong = changes.some((change) => (change.kind === "upsert" ? change.write : change.removal).strong);
    const answer = await this.#run({ script: TRANSACT, key: keys[0] ?? "", args, strong }, call);
    const [verdict, failing] = Array.isArray(answer) ? answer : [];
    if (verdict !== 0) throw refusal(Number(verdict), place(Number(failing), changes.length));
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    const read = <T>(key: string, task: (link: RowLink) => Promise<T>): Promise<T> => this.#read(key, call, task);
    const clock = this.#clock;
    const walk = {
      topology: this.#topology,
      over: <T>(node: Node, task: (link: Link) => Promise<T>) => overNode(node, call, task),
      scan: (link: Link, after: string | null) => scanPage({ ...request, after, link, read, clock, call }),
    };
    return walkPage(walk, request);
  }

  /** A script per key, all of a chunk in one write: what lies under the key is judged and deleted in one step. */
  async removeListed(keys: readonly string[], call: Call): Promise<number> {
    let removed = 0;
    for (let at = 0; at < keys.length; at += BULK_CHUNK) {
      const chunk = keys.slice(at, at + BULK_CHUNK);
      const jobs = chunk.map((key) => ({ script: REMOVE_ROW, key, args: () => ["1", key], strong: false }));
      const answers = await Promise.all(jobs.map((job) => this.#run(job, call)));
      for (const answer of answers) removed += Number(answer);
    }
    return removed;
  }

  /** Every master answers: with one of a cluster gone, a part of the keys is. */
  async ping(call: Call): Promise<void> {
    await Promise.all(
      this.#topology.masters().map(async ({ connection }) => {
        const link = connection.current ?? (await connection.next(call.signal));
        await link.call("read", "ping", []);
      }),
    );
  }

  async close(): Promise<void> {
    this.#credentials.close();
    this.#topology.close();
  }

  /** What reads can be done again from its beginning. */
  async #read<T>(key: string, call: Call, task: (link: RowLink) => Promise<T>): Promise<T> {
    let node: Node | null = null;
    for (let made = 1; ; made++) {
      try {
        node ??= this.#topology.nodeOf(key);
        const link = node.connection.current ?? (await node.connection.next(call.signal));
        return await task(announced(node, link));
      } catch (error) {
        node = await this.#topology.again({ key, node, error, made }, call.signal);
      }
    }
  }

  async #run({ script, key, args, strong }: Job, call: Call): Promise<unknown> {
    let node: Node | null = null;
    for (let made = 1; ; made++) {
      try {
        node ??= this.#topology.nodeOf(key);
        const link = node.connection.current ?? (await node.connection.next(call.signal));
        if (!strong || !node.strong.applies()) return await evaluate(announced(node, link), script, args(link.hasJson));
        const at = node;
        return await node.strong.run(async (own) => {
          const answer = await evaluate(announced(at, own), script, args(own.hasJson));
          return { answer, applied: answer === 0 || (Array.isArray(answer) && answer[0] === 0) };
        });
      } catch (error) {
        node = await this.#topology.again({ key, node, error, made }, call.signal);
      }
    }
  }
}

/** A script and what it is given. */
interface Job {
  readonly script: Script;
  /** One of its keys, all of which are on one server. */
  readonly key: string;
  readonly args: ArgumentsFor;
  readonly strong: boolean;
}

/** What reads one server can be done again from its beginning, on that one only. */
async function overNode<T>({ connection }: Node, { signal }: Call, task: (link: Link) => Promise<T>): Promise<T> {
  for (let made = 1; ; made++) {
    try {
      return await task(connection.current ?? (await connection.next(signal)));
    } catch (error) {
      await connection.pause(error, made, signal);
    }
  }
}

function place(number: number, of: number): string {
  return `change ${number} of ${of}: `;
}

function strayError(where: string): StoreError {
  const text = `${where}its key and that of change 1 are in different hash slots of the redis cluster, which changes no two of them together; give the keys a common hash tag, as in "{order-1}-head" and "{order-1}-lines"`;
  return new StoreError("refused", text);
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
      return new StoreError("corrupt", `${where}the row's 'version' is no counter that can be raised`);
    case VERDICT.partlyApplied:
      return new StoreError(
        "unknown-outcome",
        `${where}redis took no JSON document; the changes before it are applied`,
      );
    default:
      return new StoreError("failed", `${where}redis gave an answer that this script does not give`);
  }
}
