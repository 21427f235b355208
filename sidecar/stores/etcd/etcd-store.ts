// The Store of state.etcd: calls become ranges and transactions of etcd's. What differs from Dapr on purpose is in
// docs/stores/etcd.md.
import type { Clock } from "#kit/clock.ts";
import type {
  Call,
  Change,
  Features,
  Found,
  Limits,
  ListPage,
  ListRequest,
  Read,
  Removal,
  Store,
  Traits,
  Write,
} from "../store.ts";
import { StoreError } from "../store.ts";
import type { EtcdClient } from "./client.ts";
import type { KeyNames, Layout } from "./layout.ts";
import type { Leases } from "./leases.ts";
import {
  decodeRange,
  decodeTxn,
  encodeRange,
  encodeTxn,
  type KeyValue,
  METHODS,
  type Method,
  NO_LEASE,
  type Operation,
  type RangeRequest,
  type RangeResponse,
  type TxnRequest,
  type TxnResponse,
} from "./messages.ts";
import { conflictOf, planOf, txnOf } from "./transaction.ts";
import { listPage } from "./walk.ts";

export interface EtcdStoreParts {
  readonly client: EtcdClient;
  readonly leases: Leases;
  readonly layout: Layout;
  readonly names: KeyNames;
  readonly maxTxnOps: number;
  /** The shortest lease that the servers grant. */
  readonly ttlSecMin: number;
  readonly clock: Clock;
}

/** The server looks for leases that are over twice in a second, and then agrees with the other members. */
const EXPIRY_STEP_MS = 1000;

export class EtcdStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: true, list: true };
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "conflict",
    ttlStepMs: EXPIRY_STEP_MS,
    durable: true,
    listOrder: "key",
    queryStrings: "typed",
    strongRead: "every read is linearizable: it sees each write that was answered before",
    strongWrite: "every write is answered when most members of the cluster have it on their disks",
  };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];
  readonly defaultTtlSec = null;
  readonly #parts: EtcdStoreParts;

  constructor(parts: EtcdStoreParts) {
    this.#parts = parts;
    this.limits = {
      valueBytesMax: null,
      keyBytesMax: null,
      operationsMax: parts.maxTxnOps,
      ttlSecMin: parts.ttlSecMin,
    };
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    const { rows } = await this.#range(this.#one(key), call);
    const [found = null] = await this.#found(rows, call);
    if (found instanceof StoreError) throw found;
    return found;
  }

  set(write: Write, call: Call): Promise<void> {
    return this.#apply([{ kind: "upsert", write }], true, call);
  }

  remove(removal: Removal, call: Call): Promise<void> {
    return this.#apply([{ kind: "delete", removal }], true, call);
  }

  /** In transactions of ranges, which are not one snapshot together: the contract asks for none. */
  async getMany(keys: readonly string[], _read: Read, call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const rows: KeyValue[] = [];
    for (const chunk of this.#chunks([...new Set(keys)])) {
      const success = chunk.map((key): Operation => ({ kind: "range", ...this.#one(key) }));
      const { answers } = await this.#txn(METHODS.ranges, { compares: [], success, failure: [] }, call);
      rows.push(...answers.flatMap((answer) => answer.rows));
    }
    const found = await this.#found(rows, call);
    const byKey = new Map(rows.map((row, index) => [this.#parts.names.keyOf(row.key), found[index] ?? null]));
    return keys.map((key) => byKey.get(key) ?? null);
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const { maxTxnOps } = this.#parts;
    if (changes.length > maxTxnOps)
      throw new StoreError(
        "refused",
        `a transaction of ${changes.length} changes, want at most ${maxTxnOps} (maxTxnOps)`,
      );
    await this.#apply(changes, false, call);
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    const { names, layout } = this.#parts;
    return listPage(
      {
        names,
        needsValues: layout.version === "v2",
        range: (range) => this.#range(range, call),
        found: (rows) => this.#found(rows, call),
      },
      request,
    );
  }

  async removeListed(keys: readonly string[], call: Call): Promise<number> {
    let removed = 0;
    for (const chunk of this.#chunks(keys)) {
      const success = chunk.map((key): Operation => ({ kind: "delete", key: this.#parts.names.nameOf(key) }));
      const { answers } = await this.#txn(METHODS.txn, { compares: [], success, failure: [] }, call);
      for (const { deleted } of answers) removed += deleted;
    }
    return removed;
  }

  /** A read by agreement of the members, within the keys that the user may see. */
  async ping(call: Call): Promise<void> {
    await this.#range({ ...this.#one(""), keysOnly: true }, call);
  }

  async close(): Promise<void> {
    this.#parts.client.close();
  }

  async #apply(changes: readonly Change[], alone: boolean, call: Call): Promise<void> {
    const { leases, names } = this.#parts;
    const plan = planOf(changes, alone);
    const ttlSecs = new Set([...plan.last.values()].map(ttlSecOf).filter((ttlSec) => ttlSec !== null));
    await leases.during(ttlSecs, call, async (granted) => {
      const operationOf = (change: Change): Operation => this.#operation(change, granted);
      const txn = txnOf(plan, { nameOf: (key) => names.nameOf(key), operationOf });
      const { succeeded, answers } = await this.#txn(METHODS.txn, txn, call);
      if (succeeded) return;
      const rows = answers.flatMap((answer) => answer.rows);
      throw conflictOf(plan, new Map(rows.map((row) => [names.keyOf(row.key), row])));
    });
  }

  #operation(change: Change, granted: ReadonlyMap<number, string>): Operation {
    const { names, layout, clock } = this.#parts;
    if (change.kind === "delete") return { kind: "delete", key: names.nameOf(change.removal.key) };
    const { key, bytes, ttlSec } = change.write;
    const value = layout.encode(bytes, ttlSec, clock.nowMs());
    const lease = (ttlSec === null ? undefined : granted.get(ttlSec)) ?? NO_LEASE;
    return { kind: "put", key: names.nameOf(key), value, lease };
  }

  /** Reads rows in this layout; one that is none is an error of its own. Null where the lease ended meanwhile. */
  async #found(rows: readonly KeyValue[], call: Call): Promise<readonly (Found | null | StoreError)[]> {
    const { layout, leases } = this.#parts;
    const ends =
      layout.version === "v2"
        ? NO_ENDS
        : await leases.endsAtMs(new Set(rows.map(({ lease }) => lease).filter((lease) => lease !== NO_LEASE)), call);
    return rows.map((row) => {
      const end = ends.get(row.lease);
      if (end === null) return null;
      try {
        const { bytes, expiresAtMs } = layout.decode(row.value);
        // Without a lease nothing ends the value, whatever is written in it.
        const told = row.lease === NO_LEASE ? null : (end ?? expiresAtMs);
        return { bytes, etag: row.modRevision, expiresAtMs: told };
      } catch (error) {
        if (error instanceof StoreError) return error;
        throw error;
      }
    });
  }

  async #range(request: RangeRequest, { signal }: Call): Promise<RangeResponse> {
    const answer = await this.#parts.client.send({ method: METHODS.range, message: encodeRange(request) }, signal);
    return decodeRange(answer);
  }

  async #txn(method: Method, request: TxnRequest, { signal }: Call): Promise<TxnResponse> {
    return decodeTxn(await this.#parts.client.send({ method, message: encodeTxn(request) }, signal));
  }

  #one(key: string): RangeRequest {
    return { key: this.#parts.names.nameOf(key), end: null, limit: 1, keysOnly: false };
  }

  *#chunks(keys: readonly string[]): Generator<readonly string[]> {
    const { maxTxnOps } = this.#parts;
    for (let at = 0; at < keys.length; at += maxTxnOps) yield keys.slice(at, at + maxTxnOps);
  }
}

const NO_ENDS: ReadonlyMap<string, number | null> = new Map();

function ttlSecOf(change: Change): number | null {
  return change.kind === "upsert" ? change.write.ttlSec : null;
}
