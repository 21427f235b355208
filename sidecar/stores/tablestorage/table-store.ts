// The Store of state.azure.tablestorage: a value is the property Value of a row. What differs from Dapr on purpose is in
// docs/stores/azure.tablestorage.md.
import type { Random } from "#kit/random.ts";
import { checkEtag, type EtagShape, valueExists } from "../azure/etags.ts";
import type { StorageLink } from "../azure/storage-link.ts";
import {
  type Call,
  type Change,
  type Features,
  type Found,
  type Limits,
  type ListPage,
  type ListRequest,
  type Read,
  type Removal,
  type Store,
  StoreError,
  type Traits,
  type Write,
} from "../store.ts";
import type { Refusal } from "./batch.ts";
import { encodeEntity, foundIn, VALUE_BYTES_MAX } from "./entity.ts";
import { KEY_BYTES_MAX, type RowNames } from "./row-names.ts";
import { isMissing, type Operation, type Table } from "./table.ts";
import { conflictOf, needsLook, type Step, stepsOf } from "./transaction.ts";
import { listPage } from "./walk.ts";

export interface TableStoreParts {
  readonly link: StorageLink;
  readonly table: Table;
  readonly names: RowNames;
  /** Cosmos DB has a limit for rows, of 2 MB, and none for values. */
  readonly isCosmos: boolean;
  readonly random: Random;
}

/** The service's own limit for a batch. */
const CHANGES_MAX = 100;
/** How often a transaction is planned anew because others delete what it deletes. */
const PLANS_MAX = 5;
/** Deletes of one step, and rows that are looked at, at a time. */
const PARALLEL_MAX = 16;
/** Nobody's key: whether it is there shows that the table answers, and takes the right to read only. */
export const PING_KEY: string = "pannier||ping";

export class TableStore implements Store {
  readonly features: Features = { etag: true, transactions: true, ttl: false, list: true };
  readonly limits: Limits;
  readonly traits: Traits = {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: false,
    firstWriteDelete: "ignored",
    ttlStepMs: 1,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
    strongRead: "every read sees each write that was answered before, as long as the account's first region serves",
    strongWrite: "every write is answered when the copies that the account's redundancy keeps in the region have it",
  };
  readonly capabilities: readonly string[] = ["ETAG", "TRANSACTIONAL"];
  readonly defaultTtlSec = null;
  readonly #parts: TableStoreParts;

  constructor(parts: TableStoreParts) {
    this.#parts = parts;
    this.limits = {
      valueBytesMax: parts.isCosmos ? null : VALUE_BYTES_MAX,
      keyBytesMax: KEY_BYTES_MAX,
      operationsMax: CHANGES_MAX,
      ttlSecMin: 1,
    };
  }

  async get(key: string, _read: Read, call: Call): Promise<Found | null> {
    const { table, names } = this.#parts;
    const entity = await table.get(names.nameOf(key), call);
    return entity === null ? null : foundIn(entity);
  }

  async set(write: Write, call: Call): Promise<void> {
    const [step] = stepsOf([{ kind: "upsert", write }], true, checkOwnEtag);
    const operation = step === undefined ? null : this.#operation(step);
    if (step === undefined || operation === null) return;
    const refusal = await this.#parts.table.apply(operation, call);
    if (refusal !== null) throw conflict(refusal, step, operation);
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    const { table, names } = this.#parts;
    const { key, etag } = removal;
    if (etag !== null) checkOwnEtag(etag);
    const operation: Operation = { kind: "delete", name: names.nameOf(key), etag };
    const refusal = await table.apply(operation, call);
    if (refusal === null || (etag === null && isMissing(refusal.code))) return;
    const [step] = stepsOf([{ kind: "delete", removal }], true, checkOwnEtag);
    throw step === undefined ? refusal.error : conflict(refusal, step, operation);
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    if (changes.length > CHANGES_MAX)
      throw new StoreError("refused", `a transaction of ${changes.length} changes, want at most ${CHANGES_MAX}`);
    const steps = stepsOf(changes, false, checkOwnEtag);
    this.#mustLieTogether(steps);
    for (let plans = 1; ; plans++) {
      const planned = await this.#plan(steps, call);
      if (planned.length === 0) return;
      const operations = planned.map(({ operation }) => operation);
      const refusal = await this.#parts.table.applyAll(operations, this.#parts.random.uuid(), call);
      if (refusal === null) return;
      const { step, operation } = planned[refusal.at] ?? {};
      const why = conflictOf(step, operation, refusal.code);
      if (why === "again" && plans < PLANS_MAX) continue;
      throw why === null || why === "again" ? refusal.error : why;
    }
  }

  list(request: ListRequest, call: Call): Promise<ListPage> {
    const { table, names } = this.#parts;
    return listPage({ names, query: (asked) => table.query(asked, call) }, request);
  }

  async removeListed(keys: readonly string[], call: Call): Promise<number> {
    const { table, names } = this.#parts;
    const removed = await inParallel(keys, async (key) => {
      const refusal = await table.apply({ kind: "delete", name: names.nameOf(key), etag: null }, call);
      if (refusal !== null && !isMissing(refusal.code)) throw refusal.error;
      return refusal === null;
    });
    return removed.filter(Boolean).length;
  }

  async ping(call: Call): Promise<void> {
    const { table, names } = this.#parts;
    await table.get(names.nameOf(PING_KEY), call);
  }

  async close(): Promise<void> {
    this.#parts.link.close();
  }

  /** The operation of each key that has one: nothing has to be done to delete what is not there. */
  async #plan(steps: readonly Step[], call: Call): Promise<readonly { step: Step; operation: Operation }[]> {
    const { table, names } = this.#parts;
    const looked = steps.filter(needsLook);
    const rows = await inParallel(looked, ({ key }) => table.get(names.nameOf(key), call));
    const missing = new Set<Step>();
    for (const [index, step] of looked.entries()) {
      if (rows[index] === null) missing.add(step);
      else if (step.absent) throw valueExists(step.place);
    }
    return steps.flatMap((step) => {
      const operation = missing.has(step) ? null : this.#operation(step);
      return operation === null ? [] : [{ step, operation }];
    });
  }

  #operation({ key, write, etag, absent }: Step): Operation {
    const name = this.#parts.names.nameOf(key);
    if (write === null) return { kind: "delete", name, etag };
    const { valueBytesMax } = this.limits;
    const { bytes } = write;
    if (valueBytesMax !== null && bytes.length > valueBytesMax)
      throw new StoreError("refused", `a value of ${bytes.length} bytes, Azure Tables keep at most ${valueBytesMax}`);
    const body = encodeEntity(name, bytes);
    return absent ? { kind: "insert", name, body } : { kind: "put", name, body, etag };
  }

  #mustLieTogether(steps: readonly Step[]): void {
    const partitions = new Set(steps.map(({ key }) => this.#parts.names.nameOf(key).partition));
    if (partitions.size <= 1) return;
    const why = "its keys lie in different partitions; with a key prefix (keyPrefix other than none) all lie in one";
    throw new StoreError("refused", `a transaction that Azure Tables cannot make: ${why}`);
  }
}

/** ETags are the time of the last change, as Azure writes it. */
const ETAG_SHAPE: EtagShape = { head: "W/\"datetime'", tail: "'\"" };

function checkOwnEtag(etag: string, place = ""): void {
  checkEtag(etag, ETAG_SHAPE, place);
}

function conflict(refusal: Refusal, step: Step, operation: Operation): StoreError {
  const why = conflictOf(step, operation, refusal.code);
  return why === null || why === "again" ? refusal.error : why;
}

async function inParallel<I, O>(items: readonly I[], task: (item: I) => Promise<O>): Promise<readonly O[]> {
  const results: O[] = [];
  for (let at = 0; at < items.length; at += PARALLEL_MAX)
    results.push(...(await Promise.all(items.slice(at, at + PARALLEL_MAX).map(task))));
  return results;
}
