// The calls of Datastore that the driver makes: looking up keys, a query, a commit, giving a transaction up. What fails says
// so in this store's words. Knows no rule of the API.
import { never } from "#kit/clock.ts";
import {
  CommitRequest,
  CommitRequest_Mode,
  CommitResponse,
  type EntityResult,
  LookupRequest,
  LookupResponse,
  type Mutation,
  type Query,
  QueryResultBatch,
  type ReadOptions,
  RollbackRequest,
  RollbackResponse,
  RunQueryRequest,
  RunQueryResponse,
  type TransactionOptions,
} from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import type { GoogleClient, How, Method } from "../google/client.ts";
import { StoreError } from "../store.ts";
import { explained, isReadLost } from "./failures.ts";
import { keyOf, type Layout, nameOf } from "./layout.ts";

const SERVICE = "/google.datastore.v1.Datastore";
const LOOKUP: Method<LookupRequest, LookupResponse> = {
  path: `${SERVICE}/Lookup`,
  effect: "read",
  request: LookupRequest,
  response: LookupResponse,
};
const QUERY: Method<RunQueryRequest, RunQueryResponse> = {
  path: `${SERVICE}/RunQuery`,
  effect: "read",
  request: RunQueryRequest,
  response: RunQueryResponse,
};
const COMMIT: Method<CommitRequest, CommitResponse> = {
  path: `${SERVICE}/Commit`,
  effect: "write",
  request: CommitRequest,
  response: CommitResponse,
};
const ROLLBACK: Method<RollbackRequest, RollbackResponse> = {
  path: `${SERVICE}/Rollback`,
  effect: "read",
  request: RollbackRequest,
  response: RollbackResponse,
};

/** Datastore's limit for the keys of a lookup. */
const KEYS_MAX = 1000;

export interface CallsOptions {
  readonly client: GoogleClient;
  readonly project: string;
  readonly layout: Layout;
}

export interface Looked {
  /** By name; a name that is not there has no entity. */
  readonly entities: ReadonlyMap<string, EntityResult>;
  /** Of the transaction that it was in; empty where it was in none. */
  readonly transaction: Uint8Array;
}

export class Calls {
  readonly layout: Layout;
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.layout = options.layout;
  }

  /** Looks up different names, strongly. Once more where the connection broke. */
  async lookup(names: readonly string[], how: How): Promise<Looked["entities"]> {
    const { entities } = await again(() => this.#lookup(names, null, how));
    return entities;
  }

  /** The same as the beginning of a transaction. `previous` is the attempt before, which was ended; empty for the first. */
  begin(names: readonly string[], previous: Uint8Array, how: How): Promise<Looked> {
    return this.#lookup(names, previous, how);
  }

  /** Runs a query, once more where the connection broke. */
  async query(query: Query, how: How): Promise<QueryResultBatch> {
    const { project: projectId } = this.#options;
    const { batch } = await again(() => this.#ask(QUERY, { projectId, query }, how));
    return batch ?? QueryResultBatch.decode(new Uint8Array(0));
  }

  /**
   * All of the mutations or none: in a transaction that a lookup began, or where `transaction` is empty in one of their own. No
   * two of them may be of one key.
   */
  async commit(mutations: Mutation[], transaction: Uint8Array, how: How): Promise<void> {
    const isAlone = transaction.length === 0 && mutations.length === 1;
    // One mutation is a transaction by itself, and needs none around it.
    const mode = isAlone ? CommitRequest_Mode.NON_TRANSACTIONAL : CommitRequest_Mode.TRANSACTIONAL;
    const transactionSelector = isAlone ? undefined : selectorOf(transaction);
    await this.#ask(COMMIT, { projectId: this.#options.project, mode, transactionSelector, mutations }, how);
  }

  /** Gives a transaction's locks back, without anybody waiting for it: it would end by itself within a minute. */
  rollback(transaction: Uint8Array, how: How): void {
    const { project: projectId } = this.#options;
    this.#ask(ROLLBACK, { projectId, transaction }, { ...how, signal: never }).catch(() => undefined);
  }

  /** `previous` null: in no transaction. */
  async #lookup(names: readonly string[], previous: Uint8Array | null, how: How): Promise<Looked> {
    const { project: projectId, layout, client } = this.#options;
    const entities = new Map<string, EntityResult>();
    let transaction: Uint8Array = new Uint8Array(0);
    let keys = names.map((name) => keyOf(layout, name));
    try {
      while (keys.length > 0) {
        const asked = keys.slice(0, KEYS_MAX);
        const readOptions = previous === null ? undefined : optionsOf(transaction, previous);
        const answer = await this.#ask(LOOKUP, { projectId, readOptions, keys: asked }, how);
        for (const each of answer.found) entities.set(nameOf(layout, each.entity?.key) ?? "", each);
        if (answer.transaction.length > 0) transaction = answer.transaction;
        // Without an id the commit would not be bound to what was looked at.
        if (previous !== null && transaction.length === 0)
          throw new StoreError("failed", `${client.server} began no transaction`);
        if (answer.deferred.length >= asked.length)
          throw new StoreError("unavailable", `${client.server} put off every key of a lookup`);
        keys = [...answer.deferred, ...keys.slice(KEYS_MAX)];
      }
    } catch (error) {
      // Nobody else knows the transaction, and it would hold its locks until it is too old.
      if (transaction.length > 0) this.rollback(transaction, how);
      throw error;
    }
    return { entities, transaction };
  }

  /** Datastore finds the place of a database by headers. */
  async #ask<I, O>(method: Method<I, O>, message: I, { signal, deadlineMs }: How): Promise<O> {
    const { client, project } = this.#options;
    const headers: [string, string][] = [
      ["google-cloud-resource-prefix", `projects/${project}`],
      ["x-goog-request-params", `project_id=${encodeURIComponent(project)}`],
    ];
    try {
      return await client.ask(method, message, { signal, deadlineMs, headers });
    } catch (error) {
      throw explained(error, client.server, project);
    }
  }
}

async function again<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!isReadLost(error)) throw error;
    return read();
  }
}

function readWrite(previousTransaction: Uint8Array): TransactionOptions {
  return { mode: { $case: "readWrite", readWrite: { previousTransaction } } };
}

/** The first lookup of a transaction begins it. */
function optionsOf(transaction: Uint8Array, previous: Uint8Array): ReadOptions {
  return {
    consistencyType:
      transaction.length > 0
        ? { $case: "transaction", transaction }
        : { $case: "newTransaction", newTransaction: readWrite(previous) },
  };
}

function selectorOf(transaction: Uint8Array): CommitRequest["transactionSelector"] {
  return transaction.length > 0
    ? { $case: "transaction", transaction }
    : { $case: "singleUseTransaction", singleUseTransaction: readWrite(transaction) };
}
