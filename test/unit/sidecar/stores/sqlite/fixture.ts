// What the tests of the SQLite driver share: a database file of their own, a store on it, a plain connection beside it,
// and another process that holds its lock.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLOutputValue } from "node:sqlite";
import type { Worker } from "node:worker_threads";
import { type Clock, systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import type { SqliteSettings } from "#sidecar/stores/sqlite/fields.ts";
import type { Order, ThreadSettings } from "#sidecar/stores/sqlite/messages.ts";
import { openSqlite } from "#sidecar/stores/sqlite/sqlite.ts";
import type { SqliteStore } from "#sidecar/stores/sqlite/sqlite-store.ts";
import { type StartThread, startThread } from "#sidecar/stores/sqlite/thread.ts";
import type { Call, OpenContext, Read, StoreErrorCode } from "#sidecar/stores/store.ts";
import { lockElsewhere } from "#test/stores/sqlite/lock.ts";

export * from "#test/stores/eventually.ts";
export { removal, textOf, write } from "#test/stores/requests.ts";

export const CALL: Call = { signal: new AbortController().signal };
export const READ: Read = { strong: false, metadata: {} };

/** How long a plain connection waits for a cleanup that writes. */
const PLAIN_WAIT_MS = 60_000;

const DEFAULTS: Omit<SqliteSettings, "connectionString"> = {
  timeout: 10_000,
  busyTimeout: 5000,
  disableWAL: false,
  tableName: "state",
  metadataTableName: "metadata",
  cleanupInterval: 0,
};

/** A wall clock that stands where the test puts it; timers run in real time. */
export class MovableClock implements Clock {
  timeMs: number = Date.UTC(2030, 0, 1);
  nowMs(): number {
    return this.timeMs;
  }
  monotonicMs(): number {
    return systemClock.monotonicMs();
  }
  after(delayMs: number, task: () => void): ReturnType<Clock["after"]> {
    return systemClock.after(delayMs, task);
  }
}

/** A folder with one database file; everything opened through it is closed with it. */
export class Fixture {
  readonly clock: MovableClock = new MovableClock();
  readonly directory: string = mkdtempSync(join(tmpdir(), "pannier-sqlite-"));
  readonly path: string = join(this.directory, "state.db");
  readonly logged: string[] = [];
  /** Every thread that was started, in order. The first one of a file writes, the second one reads. */
  readonly threads: Worker[] = [];
  readonly #closers: (() => unknown)[] = [];

  /** Opens a store on the file, or on `connectionString`. */
  async open(
    changes: Partial<SqliteSettings> = {},
    start: StartThread = startThread,
    signal: AbortSignal = CALL.signal,
  ): Promise<SqliteStore> {
    const settings: SqliteSettings = { connectionString: this.path, ...DEFAULTS, ...changes };
    const store = await openSqlite(settings, this.#context(signal), (threadSettings) => {
      const thread = start(threadSettings);
      this.threads.push(thread);
      return thread;
    });
    this.#closers.push(() => store.close());
    return store;
  }

  #context(signal: AbortSignal): OpenContext {
    const write = (line: string): void => void this.logged.push(line);
    const log = createLog({
      level: "debug",
      json: false,
      appId: "app",
      instance: "here",
      version: "0",
      write,
      nowMs: () => 0,
    });
    return { component: "statestore", appId: "app", clock: this.clock, random: systemRandom, log, signal };
  }

  /** A second connection, which knows nothing of the driver. */
  plain(): DatabaseSync {
    const database = new DatabaseSync(this.path, { timeout: PLAIN_WAIT_MS });
    this.#closers.push(() => database.close());
    return database;
  }

  /** All rows of a query on a plain connection. */
  rows(sql: string): Record<string, SQLOutputValue>[] {
    const database = new DatabaseSync(this.path, { timeout: PLAIN_WAIT_MS });
    try {
      return database
        .prepare(sql)
        .all()
        .map((row) => ({ ...row }));
    } finally {
      database.close();
    }
  }

  /** Another process takes the write lock; the function given back releases it. */
  async lockElsewhere(): Promise<() => Promise<void>> {
    const lock = await lockElsewhere(this.path);
    this.#closers.push(() => lock.kill());
    return () => lock.release();
  }

  async close(): Promise<void> {
    for (const close of this.#closers.reverse()) await close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What the writing thread of the file at `path` is started with. */
export function threadSettings(path: string): ThreadSettings {
  return {
    location: { uri: `file:${path}`, path, readOnly: false, pragmas: [] },
    tables: { state: "state", metadata: "metadata" },
    busyTimeoutMs: 0,
    disableWal: false,
    readsOnly: false,
  };
}

/** Starts real threads and notes the orders that go to them. */
export function watched(orders: Order[]): StartThread {
  return (settings) => {
    const thread = startThread(settings);
    const post = thread.postMessage.bind(thread);
    thread.postMessage = (order: Order, transfer?: Parameters<typeof post>[1]) => {
      orders.push(order);
      post(order, transfer);
    };
    return thread;
  };
}

/** For `assert.rejects`: a StoreError of this code whose text matches. */
export function failure(code: StoreErrorCode, message: RegExp): { name: string; code: string; message: RegExp } {
  return { name: "StoreError", code, message };
}
