// The Store of state.zookeeper: calls become requests to the ensemble. What differs from Dapr on purpose is in
// docs/stores/zookeeper.md.
import type { Call, Change, Features, Found, Limits, Read, Removal, Store, Traits, Write } from "../store.ts";
import { StoreError } from "../store.ts";
import { parsed, replyError } from "./failures.ts";
import {
  ANY_VERSION,
  CODE,
  change,
  exists,
  getData,
  multi,
  type Operation,
  type Reply,
  type Request,
  readData,
  readMulti,
  readStat,
  sync,
} from "./messages.ts";
import { KEY_BYTES_MAX, nodesAbove, type Paths } from "./paths.ts";
import type { Session } from "./session.ts";
import { etagOf, mustHold, type Node, type Nodes, operationsOf, planOf } from "./transaction.ts";

export interface ZooKeeperStoreParts {
  readonly session: Session;
  readonly paths: Paths;
  /** The largest request that the servers take, its length in front included. */
  readonly requestBytesMax: number;
}

/** Kept free beside a value: the longest path that a key and a prefix can make takes 13 KiB, all else below 100 bytes. */
const REQUEST_OVERHEAD_BYTES = 16 * 1024;
/** Requests that leave together. */
const TOGETHER_MAX = 1000;
/** How often a change is tried again where others made, deleted or parted a node meanwhile. */
const ATTEMPTS_MAX = 32;

export class ZooKeeperStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: false, list: false };
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "the server in use catches up with the leader first: the read sees each write that was answered before",
    strongWrite: "every write is answered when most servers of the ensemble have it in their logs",
  };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL"];
  readonly defaultTtlSec = null;
  readonly #parts: ZooKeeperStoreParts;

  constructor(parts: ZooKeeperStoreParts) {
    this.#parts = parts;
    this.limits = {
      valueBytesMax: parts.requestBytesMax - REQUEST_OVERHEAD_BYTES,
      keyBytesMax: KEY_BYTES_MAX,
      operationsMax: null,
      ttlSecMin: 1,
    };
  }

  async get(key: string, read: Read, call: Call): Promise<Found | null> {
    const [found = null] = await this.#read([this.#parts.paths.pathOf(key)], read.strong, call);
    if (found instanceof StoreError) throw found;
    return found;
  }

  /** A plain overwrite is one request, as is a plain delete; all else looks first. */
  async set(write: Write, call: Call): Promise<void> {
    if (write.etag === null && !write.firstWrite) {
      this.#mustFit(write);
      const path = this.#parts.paths.pathOf(write.key);
      const code = await this.#change({ kind: "set", path, data: write.bytes, version: ANY_VERSION }, call);
      if (code === CODE.ok) return;
      if (code !== CODE.noNode) throw this.#error(code, true);
    }
    await this.#apply([{ kind: "upsert", write }], true, call);
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    if (removal.etag === null) {
      const operation: Operation = {
        kind: "delete",
        path: this.#parts.paths.pathOf(removal.key),
        version: ANY_VERSION,
      };
      const code = await this.#change(operation, call);
      if (code === CODE.ok) return this.#prune([operation], call);
      if (code === CODE.noNode) return;
      if (code !== CODE.notEmpty) throw this.#error(code, true);
    }
    await this.#apply([{ kind: "delete", removal }], true, call);
  }

  async getMany(keys: readonly string[], read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const paths = new Map<string, string | StoreError>();
    for (const key of keys) paths.set(key, this.#pathOrRefusal(key));
    const asked = [...new Set([...paths.values()].filter((path) => typeof path === "string"))];
    const answers = await this.#read(asked, read.strong, call);
    const found = new Map(asked.map((path, index) => [path, answers[index] ?? null]));
    return keys.map((key) => {
      const path = paths.get(key) ?? null;
      return typeof path === "string" ? (found.get(path) ?? null) : path;
    });
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    await this.#apply(changes, false, call);
  }

  /** The leader answers, through the server in use. */
  async ping(call: Call): Promise<void> {
    const [reply] = await this.#parts.session.exchange([sync("/")], call.signal);
    if (reply?.code !== CODE.ok) throw this.#error(reply?.code ?? CODE.connectionLoss, false);
  }

  close(): Promise<void> {
    return this.#parts.session.close();
  }

  async #read(paths: readonly string[], strong: boolean, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const replies = await this.#exchange(paths.map(getData), strong, call);
    return replies.map((reply) => {
      if (reply.code === CODE.noNode) return null;
      if (reply.code !== CODE.ok) return this.#error(reply.code, false);
      const { data, stat } = this.#parsed(() => readData(reply), false);
      return data === null ? null : { bytes: data, etag: etagOf(stat), expiresAtMs: null };
    });
  }

  async #apply(changes: readonly Change[], alone: boolean, call: Call): Promise<void> {
    for (const each of changes) if (each.kind === "upsert") this.#mustFit(each.write);
    const { paths } = this.#parts;
    const plan = planOf(changes, alone, (key) => paths.pathOf(key));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const nodes = await this.#nodes([...plan.last.keys()], call);
      mustHold(plan, nodes);
      const operations = operationsOf(plan, nodes);
      if (operations.length === 0) return;
      const failed = await this.#multi(operations, call);
      if (failed === null) return this.#prune(operations, call);
      const { code, operation } = failed;
      if (code === CODE.noNode && operation?.kind === "create") await this.#makeParents(operations, call);
      else if (!CHANGED.has(code)) throw this.#error(code, true);
    }
    throw new StoreError("failed", `others changed the same nodes ${ATTEMPTS_MAX} times between two looks at them`);
  }

  /** The nodes as the leader has them: what was answered to anybody before is seen. */
  async #nodes(paths: readonly string[], call: Call): Promise<Nodes> {
    const replies = await this.#exchange(paths.map(exists), true, call);
    const nodes = new Map<string, Node | null>();
    const empty: string[] = [];
    for (const [index, path] of paths.entries()) {
      const reply = replies[index];
      if (reply === undefined || (reply.code !== CODE.ok && reply.code !== CODE.noNode))
        throw this.#error(reply?.code ?? CODE.connectionLoss, false);
      const stat = reply.code === CODE.ok ? this.#parsed(() => readStat(reply.body), false) : null;
      nodes.set(path, stat === null ? null : { stat, hasValue: true });
      if (stat?.dataLength === 0) empty.push(path);
    }
    // An empty value and none have the same length.
    for (const [index, reply] of (await this.#exchange(empty.map(getData), false, call)).entries()) {
      if (reply.code !== CODE.ok && reply.code !== CODE.noNode) throw this.#error(reply.code, false);
      const read = reply.code === CODE.ok ? this.#parsed(() => readData(reply), false) : null;
      nodes.set(empty[index] ?? "", read === null ? null : { stat: read.stat, hasValue: read.data !== null });
    }
    return nodes;
  }

  /** Null when all was done; else which operation was not, and why. */
  async #multi(
    operations: readonly Operation[],
    call: Call,
  ): Promise<{ readonly code: number; readonly operation: Operation | undefined } | null> {
    const request = multi(operations);
    const { requestBytesMax } = this.#parts;
    if (request.frame.length > requestBytesMax)
      throw new StoreError(
        "refused",
        `a transaction of ${request.frame.length} bytes, ZooKeeper takes ${requestBytesMax} (maxConnBufferSize)`,
      );
    const [reply] = await this.#exchange([request], false, call);
    if (reply === undefined) throw this.#error(CODE.connectionLoss, true);
    const failed = this.#parsed(() => readMulti(reply), true);
    if (failed === null) return null;
    return { code: failed.code, operation: failed.index === null ? undefined : operations[failed.index] };
  }

  /**
   * The nodes above all that are to be made, where they are missing, without values. They are looked for first: where rights
   * forbid it, ZooKeeper refuses to make a node even if it is there.
   */
  async #makeParents(operations: readonly Operation[], call: Call): Promise<void> {
    const made = operations.filter(({ kind }) => kind === "create");
    const above = [...new Set(made.flatMap(({ path }) => nodesAbove(path)))];
    const seen = await this.#exchange(above.map(exists), true, call);
    for (const { code } of seen) if (code !== CODE.ok && code !== CODE.noNode) throw this.#error(code, false);
    const missing = above.filter((_, index) => seen[index]?.code === CODE.noNode);
    const requests = missing.map((path) => change({ kind: "create", path, data: null }));
    for (const { code } of await this.#exchange(requests, false, call))
      if (code !== CODE.ok && !CHANGED.has(code)) throw this.#error(code, true);
  }

  /** Nodes without a value that stand above nothing any more go with what was below them. */
  async #prune(operations: readonly Operation[], call: Call): Promise<void> {
    const { paths } = this.#parts;
    const gone = operations.filter(({ kind }) => kind === "delete");
    const above = new Set(gone.flatMap(({ path }) => paths.parentsOf(path)));
    try {
      // The lowest first: with it the one above it may become empty.
      for (const parent of [...above].sort((a, b) => b.length - a.length)) await this.#pruneOne(parent, call);
    } catch (error) {
      // What the caller asked for is done. A node that stays has no value, and the next delete below it looks again.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  async #pruneOne(parent: string, call: Call): Promise<void> {
    const [reply] = await this.#exchange([getData(parent)], false, call);
    if (reply?.code !== CODE.ok) return;
    const { data, stat } = this.#parsed(() => readData(reply), false);
    // The server refuses it where the node was used meanwhile.
    if (data === null && stat.numChildren === 0)
      await this.#change({ kind: "delete", path: parent, version: stat.version }, call);
  }

  /** The code of the answer. */
  async #change(operation: Operation, call: Call): Promise<number> {
    const [reply] = await this.#exchange([change(operation)], false, call);
    return reply?.code ?? CODE.connectionLoss;
  }

  /** In groups, of which each is one round trip; `strong`: after the server has caught up. */
  async #exchange(requests: readonly Request[], strong: boolean, { signal }: Call): Promise<readonly Reply[]> {
    const { session } = this.#parts;
    const replies: Reply[] = [];
    for (let at = 0; at < requests.length; at += TOGETHER_MAX) {
      const group = requests.slice(at, at + TOGETHER_MAX);
      if (!strong) {
        replies.push(...(await session.exchange(group, signal)));
        continue;
      }
      const [synced, ...rest] = await session.exchange([sync("/"), ...group], signal);
      if (synced?.code !== CODE.ok) throw this.#error(synced?.code ?? CODE.connectionLoss, false);
      replies.push(...rest);
    }
    return replies;
  }

  #mustFit({ bytes }: Write): void {
    const { valueBytesMax } = this.limits;
    if (valueBytesMax !== null && bytes.length > valueBytesMax)
      throw new StoreError(
        "refused",
        `a value of ${bytes.length} bytes, want at most ${valueBytesMax} (maxConnBufferSize)`,
      );
  }

  #pathOrRefusal(key: string): string | StoreError {
    try {
      return this.#parts.paths.pathOf(key);
    } catch (error) {
      if (error instanceof StoreError) return error;
      throw error;
    }
  }

  #parsed<T>(read: () => T, isWrite: boolean): T {
    return parsed(read, this.#parts.session.server, isWrite);
  }

  #error(code: number, isWrite: boolean): StoreError {
    return replyError(code, this.#parts.session.server, isWrite);
  }
}

/** A node is no longer as it was seen: it is worth another look. */
const CHANGED: ReadonlySet<number> = new Set([CODE.noNode, CODE.nodeExists, CODE.badVersion, CODE.notEmpty]);
