// A call over a connection: its time, its caller's leaving, and when it is done again.
import assert from "node:assert/strict";
import { never } from "#kit/clock.ts";
import { type Again, SqlError } from "#sidecar/stores/sql/failure.ts";
import { Runner } from "#sidecar/stores/sql/runner.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { at, openPool, outcome, type TestPool, type TestSession, WAIT_MS } from "./fixture.ts";

const TIMEOUT_MS = 1000;
const LEFT = "the caller left before the work began";
const HALF = { uuid: () => "", fraction: () => 0.5 };

type Test = TestPool & { readonly runner: Runner<TestSession> };

/** How a statement can be stopped: over its own connection, by a request beside it, or not at all. */
type Stop = "over" | "beside" | "none";

async function openRunner({ stop = "over" as Stop, timeoutMs = TIMEOUT_MS } = {}): Promise<Test> {
  const all = await openPool(1);
  const { pool, clock, first } = all;
  first.outlives = stop === "over";
  if (stop === "beside") first.cancel = () => void first.heard.push("cancel");
  return { ...all, runner: new Runner({ pool, clock, random: HALF, timeoutMs }) };
}

function failing(again: Again | null): SqlError {
  return new SqlError("unavailable", `failed: ${again}`, again);
}

describe("a call over a SQL connection", () => {
  it("gives what the task gives, and the connection back", async () => {
    const { runner, pool, clock, first } = await openRunner();
    const timers = clock.timers;
    const task = async (session: TestSession): Promise<string> => session.server;
    assert.equal(await runner.run({ effect: "read", signal: never, task }), first.server);
    assert.equal(clock.timers, timers);
    assert.equal(await pool.acquire(never, WAIT_MS), first);
  });

  it("gives the connection back only when nothing is under way on it", async () => {
    const { runner, pool, first } = await openRunner();
    const rest = Promise.withResolvers<void>();
    const task = async (session: TestSession): Promise<void> => {
      session.idle = rest.promise;
    };
    await runner.run({ effect: "read", signal: never, task });
    const next = outcome(pool.acquire(never, WAIT_MS));
    await settle();
    assert.equal(next.now, "pending");
    rest.resolve();
    await settle();
    assert.equal(next.now, first);
  });

  it("has no say in its connection any more once it has ended", async () => {
    const { runner, clock, first } = await openRunner();
    const caller = new AbortController();
    await runner.run({ effect: "write", signal: caller.signal, task: async () => undefined });
    caller.abort();
    await clock.advance(TIMEOUT_MS);
    assert.deepEqual(first.heard, []);
  });

  it("has one time for the wait and the work, and gives the statement up at its end", async () => {
    const { runner, pool, clock, first } = await openRunner();
    await pool.acquire(never, WAIT_MS);
    const work = Promise.withResolvers<string>();
    const running = outcome(runner.run({ effect: "write", signal: never, task: () => work.promise }));
    await clock.advance(600);
    pool.release(first);
    await clock.advance(399);
    assert.deepEqual(first.heard, []);
    await clock.advance(1);
    assert.deepEqual(first.heard, ["interrupt silent"]);
    work.reject(new SqlError("timeout", "no answer"));
    await settle();
    assert.equal(running.now, "no answer");
  });

  it("waits no longer than that for a connection, however late the clock stands", async () => {
    const { runner, pool, clock } = await openRunner();
    await clock.advance(7000);
    await pool.acquire(never, WAIT_MS);
    const running = outcome(runner.run({ effect: "read", signal: never, task: async () => "done" }));
    await clock.advance(TIMEOUT_MS - 1);
    assert.equal(running.now, "pending");
    await clock.advance(1);
    assert.match(running.now, /^no connection to anysql became free within patience/);
  });

  it("may have another time than the runner's own", async () => {
    const { runner, clock, first } = await openRunner();
    const task = (): Promise<void> => new Promise(() => undefined);
    void runner.run({ effect: "write", signal: never, timeoutMs: 5 * TIMEOUT_MS, task });
    await clock.advance(5 * TIMEOUT_MS - 1);
    assert.deepEqual(first.heard, []);
    await clock.advance(1);
    assert.deepEqual(first.heard, ["interrupt silent"]);
  });

  for (const [timeoutMs, earlyMs] of [
    [20_000, 1000],
    [2000, 500],
  ] as const) {
    it(`asks the server ${earlyMs} ms before ${timeoutMs} ms are up to stop, where it can be asked beside the connection`, async () => {
      const { runner, clock, first } = await openRunner({ stop: "beside", timeoutMs });
      const work = Promise.withResolvers<string>();
      const running = outcome(runner.run({ effect: "write", signal: never, task: () => work.promise }));
      await clock.advance(timeoutMs - earlyMs - 1);
      assert.deepEqual(first.heard, []);
      await clock.advance(1);
      assert.deepEqual(first.heard, ["cancel"]);
      await clock.advance(earlyMs - 1);
      assert.deepEqual(first.heard, ["cancel"]);
      await clock.advance(1);
      assert.deepEqual(first.heard, ["cancel", "interrupt silent"]);
      work.reject(new SqlError("timeout", "no answer"));
      await settle();
      assert.equal(running.now, "no answer");
    });
  }

  it("is left to its end once the server has answered that it was stopped", async () => {
    const { runner, clock, first } = await openRunner({ stop: "beside" });
    const work = Promise.withResolvers<string>();
    const running = outcome(runner.run({ effect: "write", signal: never, task: () => work.promise }));
    await clock.advance(TIMEOUT_MS - 1);
    work.reject(new SqlError("timeout", "cancelled"));
    await clock.advance(TIMEOUT_MS);
    assert.equal(running.now, "cancelled");
    assert.deepEqual(first.heard, ["cancel"]);
  });
});

describe("a SQL call whose caller leaves", () => {
  const leave = async (
    { runner }: Test,
    effect: "read" | "write",
  ): Promise<{ running: { now: string }; work: PromiseWithResolvers<string> }> => {
    const caller = new AbortController();
    const work = Promise.withResolvers<string>();
    const running = outcome(runner.run({ effect, signal: caller.signal, task: () => work.promise }));
    await settle();
    caller.abort();
    await settle();
    return { running, work };
  };

  for (const effect of ["read", "write"] as const)
    it(`begins no ${effect} of one who left while he was given the connection`, async () => {
      const { runner, pool, first } = await openRunner();
      const caller = new AbortController();
      const begun: string[] = [];
      const task = async (session: TestSession): Promise<void> => void begun.push(session.server);
      const running = outcome<unknown>(runner.run({ effect, signal: caller.signal, task }));
      caller.abort();
      await settle();
      assert.equal(running.now, LEFT);
      assert.deepEqual([begun, first.heard], [[], []]);
      assert.equal(await pool.acquire(never, WAIT_MS), first);
    });

  it("stops a read at once where the server can stop it", async () => {
    const test = await openRunner();
    const { running, work } = await leave(test, "read");
    assert.equal(running.now, LEFT);
    assert.deepEqual(test.first.heard, ["interrupt left"]);
    work.reject(new SqlError("timeout", "stopped"));
    await settle();
    assert.equal(await test.pool.acquire(never, WAIT_MS), test.first);
  });

  it("lets a read come to its end for a second where the server cannot, so that the connection stays", async () => {
    const test = await openRunner({ stop: "none" });
    const { running, work } = await leave(test, "read");
    assert.equal(running.now, LEFT);
    await test.clock.advance(999);
    work.resolve("found");
    await test.clock.advance(WAIT_MS);
    assert.deepEqual(test.first.heard, []);
    assert.equal(await test.pool.acquire(never, WAIT_MS), test.first);
  });

  it("gives such a read up after the second", async () => {
    const test = await openRunner({ stop: "none" });
    await leave(test, "read");
    await test.clock.advance(1000);
    assert.deepEqual(test.first.heard, ["interrupt left"]);
  });

  for (const stop of ["over", "none"] as const) {
    const where = stop === "over" ? "can" : "cannot";

    it(`tells what became of a write within a second where the server ${where} stop it`, async () => {
      const test = await openRunner({ stop });
      const { running, work } = await leave(test, "write");
      assert.equal(running.now, "pending");
      await test.clock.advance(999);
      work.resolve("written");
      await test.clock.advance(WAIT_MS);
      assert.equal(running.now, "written");
      assert.deepEqual(test.first.heard, []);
    });

    it(`gives a write up after a second where the server ${where} stop it`, async () => {
      const test = await openRunner({ stop });
      await leave(test, "write");
      await test.clock.advance(999);
      assert.deepEqual(test.first.heard, []);
      await test.clock.advance(1);
      assert.deepEqual(test.first.heard, ["interrupt left"]);
    });
  }

  for (const effect of ["read", "write"] as const)
    it(`has the server asked after 200 ms to stop a ${effect}, and gives it up after a second`, async () => {
      const test = await openRunner({ stop: "beside" });
      const { running } = await leave(test, effect);
      assert.equal(running.now, effect === "read" ? LEFT : "pending");
      await test.clock.advance(199);
      assert.deepEqual(test.first.heard, []);
      await test.clock.advance(1);
      assert.deepEqual(test.first.heard, ["cancel"]);
      await test.clock.advance(799);
      assert.deepEqual(test.first.heard, ["cancel"]);
      await test.clock.advance(1);
      assert.deepEqual(test.first.heard, ["cancel", "interrupt left"]);
    });
});

describe("another attempt of a SQL call", () => {
  /** Runs a write that always fails so, and tells over which connections. */
  function run(
    test: Test,
    again: Again | null,
    signal: AbortSignal = never,
  ): { end: { now: unknown }; over: string[] } {
    const over: string[] = [];
    const task = async (session: TestSession): Promise<void> => {
      over.push(session.server);
      throw failing(again);
    };
    return { end: outcome<unknown>(test.runner.run({ effect: "write", signal, task })), over };
  }

  it("is made up to the eighth after a conflict, each after twice the pause, of which chance takes a part", async () => {
    const test = await openRunner({ timeoutMs: 60_000 });
    const { end, over } = run(test, "conflict");
    const made: number[] = [];
    for (const pauseMs of [5, 10, 20, 40, 80, 160, 320]) {
      await test.clock.advance(pauseMs - 1);
      made.push(over.length);
      assert.equal(end.now, "pending");
      await test.clock.advance(1);
    }
    assert.deepEqual(made, [1, 2, 3, 4, 5, 6, 7]);
    assert.equal(over.length, 8);
    assert.equal(end.now, "failed: conflict");
  });

  it("is not made after the call's time", async () => {
    const test = await openRunner({ timeoutMs: 15 });
    const { end, over } = run(test, "conflict");
    await test.clock.advance(5);
    // The next pause would end at the deadline.
    assert.equal(end.now, "failed: conflict");
    assert.equal(over.length, 2);
  });

  it("is not made for a caller who left in the pause", async () => {
    const test = await openRunner();
    const caller = new AbortController();
    const { end, over } = run(test, "conflict", caller.signal);
    await test.clock.advance(4);
    caller.abort();
    await settle();
    assert.equal(end.now, "failed: conflict");
    assert.equal(over.length, 1);
  });

  it("is made twice at once after a connection that was of no use", async () => {
    const test = await openRunner();
    const { end, over } = run(test, "connection");
    await test.clock.advance(0);
    await test.clock.advance(0);
    assert.equal(end.now, "failed: connection");
    assert.equal(over.length, 3);
  });

  it("is made once, over a new connection, where the server takes no writes", async () => {
    const test = await openRunner();
    await test.clock.advance(10);
    const { end, over } = run(test, "elsewhere");
    await test.clock.advance(0);
    const second = await at(test.attempts, 0).succeed();
    await settle();
    assert.equal(end.now, "failed: elsewhere");
    assert.deepEqual(over, [test.first.server, second.server]);
    assert.deepEqual(test.first.heard, ["close"]);
  });

  it("gives what a later attempt gives", async () => {
    const { runner, clock } = await openRunner();
    let made = 0;
    const task = async (): Promise<number> => {
      made++;
      if (made < 3) throw failing("conflict");
      return made;
    };
    const running = outcome<unknown>(runner.run({ effect: "write", signal: never, task }));
    await clock.advance(15);
    assert.equal(running.now, 3);
  });

  it("is not made after any other failure", async () => {
    const test = await openRunner();
    const { end, over } = run(test, null);
    await settle();
    assert.equal(end.now, "failed: null");
    assert.equal(over.length, 1);
    let made = 0;
    const task = async (): Promise<void> => {
      made++;
      throw new StoreError("etag-mismatch", "another etag");
    };
    await assert.rejects(test.runner.run({ effect: "write", signal: never, task }), { code: "etag-mismatch" });
    assert.equal(made, 1);
  });
});
