// One client of the whole cluster for all requests: sends statements with a consistency each, ends calls whose caller left,
// tells of nodes that come and go, and finds a cluster again that has moved. Knows no table.
import { type Client, errors, type types } from "cassandra-driver";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { abandonedError, closedError, failureOf, type StatementKind } from "./failures.ts";
import { AGREEMENT, type Level } from "./levels.ts";
import { keepNodes, type LibraryOptions, libraryClient } from "./library.ts";

export interface Statement {
  readonly text: string;
  readonly parameters: readonly unknown[];
  readonly level: Level;
  readonly kind: StatementKind;
}

export interface CassandraClientOptions extends LibraryOptions {
  readonly clock: Clock;
  readonly log: Log;
}

/** A change of the schema waits for all nodes. */
const SCHEMA_MS = 20_000;
/** How long all nodes are away before `hosts` is looked up anew, and between two such looks. */
const LOST_MS = 3_000;

export class CassandraClient {
  readonly #options: CassandraClientOptions;
  readonly #calls = new Set<(ending: "closed") => void>();
  #client: Client;
  #connecting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  /** Since when no node can be asked, or of the last look for another; null while one can. */
  #lostAtMs: number | null = null;
  #renewal: Promise<void> | null = null;

  constructor(options: CassandraClientOptions) {
    this.#options = options;
    this.#client = this.#newClient();
  }

  /** Rejects with a StoreError. What was begun ends by itself after an abort: `close` sees to that. */
  async connect(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abandonedError("left", "read");
    this.#connecting = this.#client.connect();
    await this.#end(this.#connecting, "read", signal);
    keepNodes(this.#client);
  }

  /** Rejects with a StoreError. */
  execute({ text, parameters, level, kind }: Statement, signal: AbortSignal): Promise<types.ResultSet> {
    if (this.#closing !== null) return Promise.reject(closedError());
    // Nothing was sent.
    if (signal.aborted) return Promise.reject(abandonedError("left", "read"));
    const result = this.#client.execute(text, [...parameters], {
      prepare: true,
      consistency: level,
      serialConsistency: AGREEMENT,
      isIdempotent: kind === "read",
    });
    return this.#end(result, kind, signal);
  }

  /** Gives true when all nodes that are up have the change. */
  async change(schema: string, signal: AbortSignal): Promise<boolean> {
    const result = this.#client.execute(schema, [], { readTimeout: SCHEMA_MS });
    const info: object = (await this.#end(result, "read", signal)).info;
    return "isSchemaInAgreement" in info && info.isSchemaInAgreement === true;
  }

  /** Ends everything: calls under way reject. May be called again; never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    for (const end of this.#calls) end("closed");
    try {
      // While it connects, the library's own shutdown does nothing.
      await this.#connecting;
    } catch {
      // Whoever opened the store was told.
    }
    // A renewal under way ends by itself when it sees that the store was closed.
    await this.#endLibrary(this.#client);
  }

  async #endLibrary(client: Client): Promise<void> {
    try {
      await client.shutdown();
    } catch (error) {
      this.#options.log.warn("cassandra's client did not end well", { error: failureOf(error, "read").message });
    }
  }

  /** The outcome of `work`, or the end of the call when that comes first. */
  #end<T>(work: Promise<T>, kind: StatementKind, signal: AbortSignal): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        signal.removeEventListener("abort", leave);
        this.#calls.delete(abandon);
      };
      const abandon = (ending: "left" | "closed"): void => {
        settle();
        reject(abandonedError(ending, kind));
      };
      const leave = (): void => abandon("left");
      signal.addEventListener("abort", leave, { once: true });
      this.#calls.add(abandon);
      work.then(
        (value) => {
          settle();
          this.#lostAtMs = null;
          resolve(value);
        },
        (error: unknown) => {
          settle();
          this.#learn(error);
          reject(failureOf(error, kind));
        },
      );
    });
  }

  /** The library asks the addresses that it knows. Where a cluster comes back under others, as pods do, `hosts` has them. */
  #learn(error: unknown): void {
    if (!(error instanceof errors.NoHostAvailableError) || this.#connecting === null || this.#closing !== null) return;
    const nowMs = this.#options.clock.monotonicMs();
    this.#lostAtMs ??= nowMs;
    if (this.#renewal !== null || nowMs - this.#lostAtMs < LOST_MS) return;
    this.#lostAtMs = nowMs;
    this.#renewal = this.#renew().finally(() => {
      this.#renewal = null;
    });
  }

  async #renew(): Promise<void> {
    const client = this.#newClient();
    try {
      await client.connect();
      keepNodes(client);
    } catch (error) {
      this.#options.log.warn("cassandra is still away", { error: failureOf(error, "read").message });
      await this.#endLibrary(client);
      return;
    }
    const isBack = this.#client.getState().getConnectedHosts().length > 0;
    const unused = isBack || this.#closing !== null ? client : this.#client;
    if (unused !== client) this.#client = client;
    await this.#endLibrary(unused);
  }

  #newClient(): Client {
    const { log } = this.#options;
    const client = libraryClient(this.#options);
    client.on("hostDown", ({ address }) => log.warn("cassandra node is away", { node: address }));
    client.on("hostUp", ({ address }) => log.info("cassandra node is back", { node: address }));
    return client;
  }
}
