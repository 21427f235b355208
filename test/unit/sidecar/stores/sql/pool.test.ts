// The connections of one store: how many, who gets which, and what a server that is down costs.
import assert from "node:assert/strict";
import { never } from "#kit/clock.ts";
import { Pool, WAITING_MAX } from "#sidecar/stores/sql/pool.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import {
  at,
  connector,
  IDLE_MS_MAX,
  listeningLog,
  openPool,
  outcome,
  POOLING,
  unreachable,
  WAIT_MS,
} from "./fixture.ts";

const LEFT = { name: "StoreError", code: "timeout", message: "the caller left before the work began" };
const CLOSED = { name: "StoreError", code: "closed", message: "the store was closed" };
const DOWN = { name: "StoreError", code: "unavailable", message: unreachable().message };
const HOUR_MS = 3_600_000;

describe("the pool of SQL connections", () => {
  it("does not open where no connection can be made, and leaves nothing behind", async () => {
    const clock = new ManualClock();
    const { attempts, connect } = connector(clock);
    const opening = Pool.open({ ...POOLING, connect, maxConns: 2, clock, log: listeningLog() }, never);
    void at(attempts, 0).fail(unreachable());
    await assert.rejects(opening, DOWN);
    assert.equal(clock.timers, 0);
  });

  it("uses the connection that was used last, and makes another only where all are in use", async () => {
    const { pool, attempts, first } = await openPool(2);
    assert.equal(await pool.acquire(never, WAIT_MS), first);
    const waiting = pool.acquire(never, WAIT_MS);
    const second = await at(attempts, 0).succeed();
    assert.equal(await waiting, second);
    pool.release(second);
    pool.release(first);
    assert.equal(await pool.acquire(never, WAIT_MS), first);
    assert.equal(attempts.length, 1);
  });

  it("makes no more than maxConns, and serves those who wait in the order of their coming", async () => {
    const { pool, attempts, first } = await openPool(1);
    await pool.acquire(never, WAIT_MS);
    const one = outcome(pool.acquire(never, WAIT_MS));
    const two = outcome(pool.acquire(never, WAIT_MS));
    pool.release(first);
    await settle();
    assert.deepEqual([one.now, two.now], [first, "pending"]);
    pool.release(first);
    await settle();
    assert.equal(two.now, first);
    assert.equal(attempts.length, 0);
  });

  it("hands no connection out that has ended while it was idle", async () => {
    const { pool, attempts, first } = await openPool(1);
    first.reusable = false;
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    first.end();
    await settle();
    assert.equal(waiting.now, "pending");
    const second = await at(attempts, 0).succeed();
    assert.equal(waiting.now, second);
  });

  it("ends one that became of no use while it was idle, so that it takes up no place", async () => {
    const { pool, attempts, first } = await openPool(1);
    first.reusable = false;
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await settle();
    assert.deepEqual(first.heard, ["destroy broken"]);
    const second = await at(attempts, 0).succeed();
    assert.equal(waiting.now, second);
  });

  it("ends a connection that comes back with work under way, and makes a new one for who waits", async () => {
    const { pool, attempts, first } = await openPool(1);
    await pool.acquire(never, WAIT_MS);
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    first.reusable = false;
    pool.release(first);
    await settle();
    assert.deepEqual(first.heard, ["destroy broken"]);
    const second = await at(attempts, 0).succeed();
    assert.equal(waiting.now, second);
  });

  it("ends a connection after an hour, when it comes back", async () => {
    const { pool, clock, first } = await openPool(1);
    await pool.acquire(never, WAIT_MS);
    await clock.advance(HOUR_MS);
    pool.release(first);
    assert.deepEqual(first.heard, []);
    await pool.acquire(never, WAIT_MS);
    await clock.advance(1);
    pool.release(first);
    assert.deepEqual(first.heard, ["close"]);
  });

  it("ends a connection after the time that the driver says, when it comes back", async () => {
    const { pool, clock, first } = await openPool(1, { lifeMsMax: 1000 });
    await clock.advance(1000);
    pool.release(await pool.acquire(never, WAIT_MS));
    assert.deepEqual(first.heard, []);
    await clock.advance(1);
    pool.release(await pool.acquire(never, WAIT_MS));
    assert.deepEqual(first.heard, ["close"]);
  });

  it("does not tell one to end that has ended by itself while it was idle", async () => {
    const { clock, first } = await openPool(1);
    first.end();
    await clock.advance(IDLE_MS_MAX);
    assert.deepEqual(first.heard, []);
  });

  it("ends connections that were idle for too long, each at its time", async () => {
    const { pool, clock, attempts, first } = await openPool(2);
    await pool.acquire(never, WAIT_MS);
    const waiting = pool.acquire(never, WAIT_MS);
    const second = await at(attempts, 0).succeed();
    await waiting;
    pool.release(second);
    await clock.advance(1000);
    pool.release(first);
    await clock.advance(IDLE_MS_MAX - 1001);
    assert.deepEqual([first.heard, second.heard], [[], []]);
    await clock.advance(1);
    assert.deepEqual([first.heard, second.heard], [[], ["close"]]);
    await clock.advance(1000);
    assert.deepEqual(first.heard, ["close"]);
    assert.equal(clock.timers, 0);
  });
});

describe("the queue before SQL connections", () => {
  it("holds so many calls and refuses one more", async () => {
    const { pool } = await openPool(1);
    await pool.acquire(never, WAIT_MS);
    const all = Array.from({ length: WAITING_MAX }, () => outcome(pool.acquire(never, WAIT_MS)));
    await assert.rejects(pool.acquire(never, WAIT_MS), {
      code: "unavailable",
      message: `anysql is too slow: ${WAITING_MAX} calls wait for a connection`,
    });
    await settle();
    assert.ok(all.every(({ now }) => now === "pending"));
    await pool.close();
    assert.ok(all.every(({ now }) => now === CLOSED.message));
  });

  it("is left at once by a caller who goes, and the next one gets the connection", async () => {
    const { pool, clock, first } = await openPool(1);
    await pool.acquire(never, WAIT_MS);
    const caller = new AbortController();
    const gone = pool.acquire(caller.signal, WAIT_MS);
    const next = outcome(pool.acquire(never, WAIT_MS));
    const timers = clock.timers;
    caller.abort();
    await assert.rejects(gone, LEFT);
    assert.equal(clock.timers, timers - 1);
    pool.release(first);
    await settle();
    assert.equal(next.now, first);
  });

  it("does not take a caller who is gone already", async () => {
    const { pool, first } = await openPool(1);
    await assert.rejects(pool.acquire(AbortSignal.abort(), WAIT_MS), LEFT);
    assert.equal(await pool.acquire(never, WAIT_MS), first);
  });

  it("is over after the time that the call has, and says what was in the way", async () => {
    const { pool, clock } = await openPool(1);
    await pool.acquire(never, WAIT_MS);
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await clock.advance(WAIT_MS - 1);
    assert.equal(waiting.now, "pending");
    await clock.advance(1);
    assert.equal(
      waiting.now,
      "no connection to anysql became free within patience; all 1 are in use or cannot be made",
    );
  });
});

describe("the end of a pool of SQL connections", () => {
  it("takes leave of the idle, breaks off the busy and the waiting, and lets nobody in", async () => {
    const { pool, clock, attempts, first } = await openPool(2);
    await pool.acquire(never, WAIT_MS);
    const taking = pool.acquire(never, WAIT_MS);
    const second = await at(attempts, 0).succeed();
    await taking;
    pool.release(second);
    await pool.close();
    assert.deepEqual([first.heard, second.heard], [["destroy closed"], ["close"]]);
    await assert.rejects(pool.acquire(never, WAIT_MS), CLOSED);
    await pool.close();
    assert.deepEqual([first.heard, second.heard], [["destroy closed"], ["close"]]);
    assert.equal(clock.timers, 0);
  });

  it("does not break off the farewell of a connection that was idle for too long", async () => {
    const { pool, clock, first } = await openPool(1);
    first.stubborn = true;
    await clock.advance(IDLE_MS_MAX);
    const closing = outcome(pool.close());
    await settle();
    assert.equal(closing.now, "pending");
    assert.deepEqual(first.heard, ["close"]);
    first.end();
    await settle();
    assert.equal(closing.now, undefined);
    assert.equal(clock.timers, 0);
  });

  it("calls an attempt to connect off, and ends what that brings all the same", async () => {
    const { pool, attempts, log } = await openPool(3);
    await pool.acquire(never, WAIT_MS);
    const waiting = [outcome(pool.acquire(never, WAIT_MS)), outcome(pool.acquire(never, WAIT_MS))];
    await pool.close();
    assert.deepEqual([at(attempts, 0).signal.aborted, at(attempts, 1).signal.aborted], [true, true]);
    const late = await at(attempts, 0).succeed();
    await at(attempts, 1).fail(unreachable());
    assert.deepEqual(late.heard, ["close"]);
    assert.deepEqual(
      waiting.map(({ now }) => now),
      [CLOSED.message, CLOSED.message],
    );
    assert.deepEqual(log.lines, []);
    assert.equal(attempts.length, 2);
  });

  it("waits for connections to end, and goes on after a second without them", async () => {
    const { pool, clock, first } = await openPool(1);
    first.stubborn = true;
    const closing = outcome(pool.close().then(() => "closed"));
    await clock.advance(999);
    assert.equal(closing.now, "pending");
    await clock.advance(1);
    assert.equal(closing.now, "closed");
  });
});

describe("a SQL connection whose server takes no writes", () => {
  it("has all that stand ended: the idle at once, the busy when they come back", async () => {
    const { pool, clock, attempts, first } = await openPool(3);
    await pool.acquire(never, WAIT_MS);
    const taking = [pool.acquire(never, WAIT_MS), pool.acquire(never, WAIT_MS)];
    const busy = await at(attempts, 0).succeed();
    const idle = await at(attempts, 1).succeed();
    await Promise.all(taking);
    pool.release(idle);
    await clock.advance(10);
    pool.retire(first);
    assert.deepEqual([first.heard, busy.heard, idle.heard], [[], [], ["close"]]);
    pool.release(busy);
    pool.release(first);
    assert.deepEqual([first.heard, busy.heard], [["close"], ["close"]]);
  });

  it("leaves those alone that were made since another call found it out", async () => {
    const { pool, clock, attempts, first } = await openPool(3);
    await pool.acquire(never, WAIT_MS);
    const taking = pool.acquire(never, WAIT_MS);
    const old = await at(attempts, 0).succeed();
    await taking;
    await clock.advance(10);
    pool.retire(first);
    pool.release(first);
    const again = pool.acquire(never, WAIT_MS);
    const young = await at(attempts, 1).succeed();
    await again;
    pool.release(young);
    await clock.advance(10);
    pool.retire(old);
    assert.deepEqual(young.heard, []);
    assert.equal(await pool.acquire(never, WAIT_MS), young);
  });
});
