// What the tests of the shared SQL room have in common: a pool over a moved clock, whose connections are plain objects
// that the test itself makes, fails and ends.
import assert from "node:assert/strict";
import type { Log } from "#kit/log.ts";
import { type Ending, SqlError } from "#sidecar/stores/sql/failure.ts";
import { Pool, type PoolOptions } from "#sidecar/stores/sql/pool.ts";
import type { RunnableSession } from "#sidecar/stores/sql/runner.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";

/** A connection without a server; the test says how it stands. */
export interface TestSession extends RunnableSession {
  reusable: boolean;
  alive: boolean;
  cancel: (() => void) | null;
  outlives: boolean;
  idle: Promise<void> | null;
  /** What was asked of it: "close", "destroy broken", "cancel", "interrupt left". */
  readonly heard: string[];
  /** The server or the network ends it. */
  readonly end: () => void;
  /** It does not end when it is told to. */
  stubborn: boolean;
}

export interface Attempt {
  readonly signal: AbortSignal;
  readonly succeed: () => Promise<TestSession>;
  readonly fail: (error: unknown) => Promise<void>;
}

export interface ListeningLog extends Log {
  readonly lines: string[];
}

export interface TestPool {
  readonly pool: Pool<TestSession>;
  readonly clock: ManualClock;
  readonly log: ListeningLog;
  /** Every attempt to connect but the first, which has given `first`. */
  readonly attempts: readonly Attempt[];
  readonly first: TestSession;
}

export const IDLE_MS_MAX = 600_000;
export const WAIT_MS = 5000;
export const POOLING: Pick<PoolOptions<TestSession>, "product" | "timeField" | "idleMsMax"> = {
  product: "anysql",
  timeField: "patience",
  idleMsMax: IDLE_MS_MAX,
};

export function listeningLog(): ListeningLog {
  const lines: string[] = [];
  const ignore = (): void => undefined;
  const keep =
    (level: string) =>
    (message: string, fields: unknown = {}): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log = { lines, debug: ignore, info: keep("info"), warn: keep("warn"), error: ignore, fatal: ignore };
  return { ...log, scoped: () => listeningLog() };
}

function newSession(name: number, openedMs: number): TestSession {
  const ended = Promise.withResolvers<void>();
  const heard: string[] = [];
  const end = (): void => {
    session.reusable = false;
    session.alive = false;
    ended.resolve();
  };
  const told = (what: string): void => {
    heard.push(what);
    session.reusable = false;
    session.alive = false;
    if (!session.stubborn) end();
  };
  const session: TestSession = {
    server: `server-${name}`,
    openedMs,
    reusable: true,
    alive: true,
    cancel: null,
    outlives: false,
    idle: null,
    ended: ended.promise,
    heard,
    end,
    stubborn: false,
    close: () => told("close"),
    destroy: (ending: Ending) => told(`destroy ${ending}`),
    interrupt: (ending: Ending) => void heard.push(`interrupt ${ending}`),
  };
  return session;
}

/** A source of connections that come when the test says so. */
export function connector(clock: ManualClock): {
  readonly attempts: Attempt[];
  readonly connect: (signal: AbortSignal) => Promise<TestSession>;
} {
  const attempts: Attempt[] = [];
  const connect = (signal: AbortSignal): Promise<TestSession> => {
    const made = Promise.withResolvers<TestSession>();
    const number = attempts.length;
    attempts.push({
      signal,
      succeed: async () => {
        const session = newSession(number, clock.monotonicMs());
        made.resolve(session);
        await settle();
        return session;
      },
      fail: async (error) => {
        made.reject(error);
        await settle();
      },
    });
    return made.promise;
  };
  return { attempts, connect };
}

/** A pool with one connection that stands and is idle. */
export async function openPool(
  maxConns: number,
  { clock = new ManualClock(), ...more }: { readonly lifeMsMax?: number; readonly clock?: ManualClock } = {},
): Promise<TestPool> {
  const log = listeningLog();
  const { attempts, connect } = connector(clock);
  const opening = Pool.open({ ...POOLING, ...more, connect, maxConns, clock, log }, new AbortController().signal);
  const first = await at(attempts, 0).succeed();
  attempts.shift();
  return { pool: await opening, clock, log, attempts, first };
}

/** The element, which has to be there. */
export function at<T>(list: readonly T[], index: number): T {
  const element = list[index];
  assert.ok(element !== undefined, `nothing at ${index} of ${list.length}`);
  return element;
}

export function unreachable(): SqlError {
  return new SqlError("unavailable", "cannot connect to anysql at server-1: refused");
}

/** What a promise has come to by now: "pending", or the message that it rejected with, or the value. */
export function outcome<T>(promise: Promise<T>): { now: T | string } {
  const seen: { now: T | string } = { now: "pending" };
  promise.then(
    (value) => {
      seen.now = value;
    },
    (error: unknown) => {
      seen.now = error instanceof Error ? error.message : String(error);
    },
  );
  return seen;
}
