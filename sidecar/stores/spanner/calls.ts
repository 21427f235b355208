// The calls of Spanner that the driver makes, over one client and one session: reading rows by keys or a range, the
// server's time, a read-write transaction's parts. What fails says so in this store's words. Knows no rule of the API.
import { never } from "#kit/clock.ts";
import {
  BeginTransactionRequest,
  CommitRequest,
  CommitResponse,
  type KeySet,
  type MultiplexedSessionPrecommitToken,
  PartialResultSet,
  ReadRequest,
  RollbackRequest,
  Transaction,
  type TransactionOptions,
  type TransactionSelector,
} from "#proto/gen/clients/google/spanner/v1/spanner.ts";
import { Empty } from "#proto/gen/google/protobuf/empty.ts";
import type { GoogleClient, How, Method } from "../google/client.ts";
import { StoreError } from "../store.ts";
import { explained, isLost } from "./failures.ts";
import { type Column, type Row, RowReader, toMs } from "./rows.ts";
import type { Session } from "./session.ts";

const SERVICE = "/google.spanner.v1.Spanner";
const READ: Method<ReadRequest, PartialResultSet> = {
  path: `${SERVICE}/StreamingRead`,
  effect: "read",
  request: ReadRequest,
  response: PartialResultSet,
};
const BEGIN: Method<BeginTransactionRequest, Transaction> = {
  path: `${SERVICE}/BeginTransaction`,
  effect: "read",
  request: BeginTransactionRequest,
  response: Transaction,
};
const COMMIT: Method<CommitRequest, CommitResponse> = {
  path: `${SERVICE}/Commit`,
  effect: "write",
  request: CommitRequest,
  response: CommitResponse,
};
const ROLLBACK: Method<RollbackRequest, Empty> = {
  path: `${SERVICE}/Rollback`,
  effect: "read",
  request: RollbackRequest,
  response: Empty,
};

export interface CallsOptions {
  readonly client: GoogleClient;
  readonly session: Session;
  /** Full name. */
  readonly database: string;
  readonly table: string;
}

export interface RowsRequest {
  readonly columns: readonly Column[];
  readonly keySet: KeySet;
  /** 0: all. */
  readonly limit: number;
  readonly transaction: TransactionSelector;
}

/** A read that is a transaction by itself. */
export interface OwnRead extends Omit<RowsRequest, "transaction"> {
  /** {@link STRONG}, or what {@link stale} gives. */
  readonly options: TransactionOptions;
}

/** What a read tells besides its rows. */
export interface ReadEnd {
  /** Of the transaction that began with it; empty where none did. */
  readonly id: Uint8Array;
  /** The server's time at which it read, in milliseconds since 1970 UTC; null in a read-write transaction. */
  readonly atMs: number | null;
  readonly token: MultiplexedSessionPrecommitToken | undefined;
}

/** A read that finds everything that was committed before it. */
export const STRONG: TransactionOptions = readOnly({ $case: "strong", strong: true });

/** A read that finds what was there at most so many milliseconds ago. */
export function stale(ms: number): TransactionOptions {
  const maxStaleness = { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1_000_000 };
  return readOnly({ $case: "maxStaleness", maxStaleness });
}

type Bound = Extract<TransactionOptions["mode"], { $case: "readOnly" }>["readOnly"]["timestampBound"];

function readOnly(timestampBound: Bound): TransactionOptions {
  return { mode: { $case: "readOnly", readOnly: { timestampBound, returnReadTimestamp: true } } };
}

export class Calls {
  readonly table: string;
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.table = options.table;
  }

  /** Runs a task in the session, whose name it gets; errors of Spanner's say more afterwards. */
  async during<T>(how: How, task: (session: string) => Promise<T>): Promise<T> {
    const { client, session } = this.#options;
    try {
      return await session.during(how, task);
    } catch (error) {
      throw explained(error, client.server, this.#options);
    }
  }

  /**
   * Reads in a transaction of its own, once more where the connection broke: each attempt asks `begin` for what takes its
   * rows.
   */
  async rows(rows: OwnRead, how: How, begin: () => Take): Promise<ReadEnd> {
    const { options, ...request } = rows;
    const transaction: TransactionSelector = { selector: { $case: "singleUse", singleUse: options } };
    const attempt = (): Promise<ReadEnd> =>
      this.during(how, (session) => this.read(session, { ...request, transaction }, how, begin()));
    try {
      return await attempt();
    } catch (error) {
      if (!isLost(error)) throw error;
      return attempt();
    }
  }

  /** Reads rows in the order of their keys, until `take` gives false. */
  async read(session: string, request: RowsRequest, how: How, take: Take): Promise<ReadEnd> {
    const end: { id: Uint8Array; atMs: number | null; token: ReadEnd["token"] } = {
      id: new Uint8Array(0),
      atMs: null,
      token: undefined,
    };
    const rows = new RowReader(request.columns, take);
    const message = { ...request, columns: [...request.columns], session, table: this.table };
    await this.#options.client.read(READ, message, this.#routed(session, how, locks(request)), (part) => {
      const transaction = part.metadata?.transaction;
      if (transaction !== undefined) {
        end.id = transaction.id;
        if (transaction.readTimestamp !== undefined) end.atMs = toMs(transaction.readTimestamp);
      }
      end.token = later(end.token, part.precommitToken);
      return rows.push(part);
    });
    return end;
  }

  /** The server's time, in milliseconds since 1970 UTC: after everything that was committed before the call. */
  async serverMs(session: string, how: How): Promise<number> {
    const request = { session, options: STRONG };
    const { readTimestamp } = await this.#options.client.ask(BEGIN, request, this.#routed(session, how, false));
    if (readTimestamp === undefined) throw new StoreError("failed", `${this.#options.client.server} tells no time`);
    return toMs(readTimestamp);
  }

  async commit(request: CommitRequest, how: How): Promise<CommitResponse> {
    return this.#options.client.ask(COMMIT, request, this.#routed(request.session, how, true));
  }

  /** Gives a transaction's locks back, without anybody waiting for it: they would end by themselves after some seconds. */
  rollback(session: string, transactionId: Uint8Array, how: How): void {
    const routed = this.#routed(session, { ...how, signal: never }, true);
    this.#options.client.ask(ROLLBACK, { session, transactionId }, routed).catch(() => undefined);
  }

  /** Spanner finds the place of a session by headers, and the replica that leads for what locks or writes. */
  #routed(session: string, { signal, deadlineMs }: How, toLeader: boolean): How {
    const headers: [string, string][] = [
      ["google-cloud-resource-prefix", this.#options.database],
      ["x-goog-request-params", `session=${encodeURIComponent(session)}`],
    ];
    if (toLeader) headers.push(["x-goog-spanner-route-to-leader", "true"]);
    return { signal, deadlineMs, headers };
  }
}

function locks({ transaction }: RowsRequest): boolean {
  return transaction.selector?.$case !== "singleUse";
}

export type Take = (row: Row) => boolean;

/** Of two tokens the one that was made later. */
export function later(
  one: MultiplexedSessionPrecommitToken | undefined,
  other: MultiplexedSessionPrecommitToken | undefined,
): MultiplexedSessionPrecommitToken | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.seqNum > one.seqNum ? other : one;
}
