// The pool while connections cannot be made: what calls hear, and when it tries again.
import assert from "node:assert/strict";
import { never, type Timer } from "#kit/clock.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { at, openPool, outcome, type TestPool, unreachable, WAIT_MS } from "./fixture.ts";

const LEFT = "the caller left before the work began";
const CLOSED = "the store was closed";
const DOWN = { name: "StoreError", code: "unavailable", message: unreachable().message };

/** Its timers come a millisecond too soon, as Node's can. */
class HastyClock extends ManualClock {
  override after(delayMs: number, task: () => void): Timer {
    return super.after(delayMs - 1, task);
  }
}

describe("a pool of SQL connections whose server is down", () => {
  /** The one connection has broken, and the first attempt to replace it has failed. */
  async function fallen(): Promise<TestPool> {
    const all = await openPool(4);
    all.first.end();
    await settle();
    const waiting = outcome(all.pool.acquire(never, WAIT_MS));
    await at(all.attempts, 0).fail(unreachable());
    assert.equal(waiting.now, DOWN.message);
    return all;
  }

  it("fails all who wait, then each call at once with the cause, and warns once", async () => {
    const { pool, attempts, log } = await fallen();
    await assert.rejects(pool.acquire(never, WAIT_MS), DOWN);
    await assert.rejects(pool.acquire(never, WAIT_MS), DOWN);
    assert.equal(attempts.length, 1);
    assert.deepEqual(log.lines, [`warn anysql cannot be reached {"error":"${DOWN.message}"}`]);
  });

  it("lets one call try again at 50 ms, then after twice the time each, up to 2 s", async () => {
    const { pool, clock, attempts, log } = await fallen();
    for (const pauseMs of [50, 100, 200, 400, 800, 1600, 2000, 2000]) {
      await clock.advance(pauseMs - 1);
      await assert.rejects(pool.acquire(never, WAIT_MS), DOWN);
      const made = attempts.length;
      await clock.advance(1);
      const trying = outcome(pool.acquire(never, WAIT_MS));
      await assert.rejects(pool.acquire(never, WAIT_MS), DOWN);
      assert.equal(attempts.length, made + 1);
      await at(attempts, made).fail(unreachable());
      assert.equal(trying.now, DOWN.message);
    }
    assert.equal(log.lines.length, 1);
  });

  it("counts attempts that fail together once, and one that fails later not at all", async () => {
    const { pool, clock, attempts, first, log } = await openPool(8);
    first.end();
    await settle();
    const waiting = Array.from({ length: 8 }, () => outcome(pool.acquire(never, WAIT_MS)));
    for (let made = 0; made < 7; made++) await at(attempts, made).fail(unreachable());
    await clock.advance(30);
    await at(attempts, 7).fail(unreachable());
    assert.deepEqual(new Set(waiting.map(({ now }) => now)), new Set([DOWN.message]));
    await clock.advance(19);
    await assert.rejects(pool.acquire(never, WAIT_MS), DOWN);
    await clock.advance(1);
    const trying = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 8).fail(unreachable());
    assert.equal(trying.now, DOWN.message);
    await clock.advance(100);
    const again = outcome(pool.acquire(never, WAIT_MS));
    assert.equal(again.now, "pending");
    assert.deepEqual([attempts.length, log.lines.length], [10, 1]);
  });

  it("is not down again by an attempt that is older than its coming back", async () => {
    const { pool, clock, attempts, log } = await openPool(4);
    await pool.acquire(never, WAIT_MS);
    const waiting = Array.from({ length: 3 }, () => outcome(pool.acquire(never, WAIT_MS)));
    await at(attempts, 0).fail(unreachable());
    const second = await at(attempts, 1).succeed();
    assert.deepEqual([log.lines.length, attempts.length], [2, 4]);
    await at(attempts, 2).fail(unreachable());
    // Two wait still, and each gets an attempt.
    await clock.advance(50);
    assert.deepEqual([log.lines.length, attempts.length], [2, 5]);
    assert.deepEqual(
      waiting.map(({ now }) => now),
      [second, "pending", "pending"],
    );
  });

  it("tries again also where its timer comes too soon", async () => {
    const { pool, clock, attempts } = await openPool(2, { clock: new HastyClock() });
    await pool.acquire(never, WAIT_MS);
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 0).fail(unreachable());
    await clock.advance(50);
    const second = await at(attempts, 1).succeed();
    assert.equal(waiting.now, second);
  });

  it("serves again after one success, says so, and begins anew with its times", async () => {
    const { pool, clock, attempts, log } = await fallen();
    await clock.advance(50);
    const trying = outcome(pool.acquire(never, WAIT_MS));
    const second = await at(attempts, 1).succeed();
    assert.equal(trying.now, second);
    assert.equal(log.lines[1], `info anysql connected again {"server":"${second.server}"}`);
    second.end();
    await settle();
    const more = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 2).fail(unreachable());
    assert.equal(more.now, DOWN.message);
    await clock.advance(50);
    void outcome(pool.acquire(never, WAIT_MS));
    assert.equal(attempts.length, 4);
    assert.equal(log.lines.length, 3);
  });

  it("lets calls wait for the connections that still stand", async () => {
    const { pool, attempts, first } = await openPool(2);
    await pool.acquire(never, WAIT_MS);
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 0).fail(unreachable());
    assert.equal(waiting.now, "pending");
    pool.release(first);
    await settle();
    assert.equal(waiting.now, first);
  });

  it("tries again by itself for those who wait while some stand, and for nobody else", async () => {
    const { pool, clock, attempts, first } = await openPool(2);
    await pool.acquire(never, WAIT_MS);
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 0).fail(unreachable());
    await clock.advance(49);
    assert.equal(attempts.length, 1);
    await clock.advance(1);
    await at(attempts, 1).fail(unreachable());
    await clock.advance(100);
    const second = await at(attempts, 2).succeed();
    assert.equal(waiting.now, second);
    second.end();
    await settle();
    const leaving = new AbortController();
    const gone = outcome(pool.acquire(leaving.signal, WAIT_MS));
    await at(attempts, 3).fail(unreachable());
    leaving.abort();
    await clock.advance(WAIT_MS);
    assert.deepEqual([gone.now, attempts.length], [LEFT, 4]);
    pool.release(first);
  });

  it("tries no more once it is closed, however many attempts have failed", async () => {
    const { pool, clock, attempts } = await openPool(3);
    await pool.acquire(never, WAIT_MS);
    const waiting = [outcome(pool.acquire(never, WAIT_MS)), outcome(pool.acquire(never, WAIT_MS))];
    await at(attempts, 0).fail(unreachable());
    await at(attempts, 1).fail(unreachable());
    await pool.close();
    assert.deepEqual([...waiting.map(({ now }) => now), clock.timers], [CLOSED, CLOSED, 0]);
  });

  it("tries by one call where some stand, and makes all that are waited for once that has succeeded", async () => {
    const { pool, clock, attempts } = await openPool(4);
    await pool.acquire(never, WAIT_MS);
    const one = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 0).fail(unreachable());
    const two = outcome(pool.acquire(never, WAIT_MS));
    assert.equal(attempts.length, 1);
    await clock.advance(50);
    const three = outcome(pool.acquire(never, WAIT_MS));
    assert.equal(attempts.length, 2);
    const made = await at(attempts, 1).succeed();
    assert.deepEqual([one.now, two.now, three.now], [made, "pending", "pending"]);
    assert.equal(attempts.length, 4);
  });

  it("fails who waits for the last connection that stands, when that breaks too", async () => {
    const { pool, attempts, first } = await openPool(2);
    await pool.acquire(never, WAIT_MS);
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 0).fail(unreachable());
    first.end();
    await settle();
    assert.equal(waiting.now, DOWN.message);
  });

  it("passes no words on of an error that is none of a driver's", async () => {
    const { pool, attempts, first, log } = await openPool(1);
    first.end();
    await settle();
    const waiting = outcome(pool.acquire(never, WAIT_MS));
    await at(attempts, 0).fail(new Error("password=secret"));
    assert.equal(waiting.now, "cannot connect to anysql");
    assert.deepEqual(log.lines, ['warn anysql cannot be reached {"error":"cannot connect to anysql"}']);
  });
});
