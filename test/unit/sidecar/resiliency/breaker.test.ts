import assert from "node:assert/strict";
import { type Admission, Breaker, type BreakerOptions, type Outcome } from "#sidecar/resiliency/breaker.ts";
import { ManualClock } from "./manual-clock.ts";

describe("a circuit breaker", () => {
  let clock: ManualClock;
  let changes: string[];

  beforeEach(() => {
    clock = new ManualClock();
    changes = [];
  });

  function breakerWith(options: Partial<BreakerOptions> = {}): Breaker {
    return new Breaker({
      maxRequests: 1,
      intervalMs: 0,
      timeoutMs: 1000,
      trip: ({ consecutiveFailures }) => consecutiveFailures > 2,
      clock,
      onChange: (state) => void changes.push(state),
      ...options,
    });
  }

  function enter(breaker: Breaker, request: object = {}, attempt = 1): Admission {
    const entry = breaker.enter({ request, attempt });
    assert.ok(entry.admitted);
    return entry;
  }

  function end(breaker: Breaker, outcome: Outcome, times = 1): void {
    for (let i = 0; i < times; i++) breaker.leave(enter(breaker), outcome);
  }

  async function opened(options: Partial<BreakerOptions> = {}): Promise<Breaker> {
    const breaker = breakerWith(options);
    end(breaker, "failure", 3);
    assert.equal(breaker.current(), "open");
    return breaker;
  }

  it("opens when its condition holds, and then refuses for its timeout", async () => {
    const breaker = breakerWith();
    end(breaker, "failure", 2);
    assert.equal(breaker.current(), "closed");
    end(breaker, "failure");
    await clock.advance(400);
    assert.deepEqual(breaker.enter({ request: {}, attempt: 1 }), { admitted: false, state: "open", leftMs: 600 });
    assert.deepEqual(changes, ["open"]);
  });

  it("counts failures in a row anew after a success", () => {
    const breaker = breakerWith();
    end(breaker, "failure", 2);
    end(breaker, "success");
    end(breaker, "failure", 2);
    assert.equal(breaker.current(), "closed");
  });

  it("counts nothing that says nothing about the store", () => {
    const breaker = breakerWith({ trip: ({ requests }) => requests > 3 });
    end(breaker, "neither", 10);
    end(breaker, "failure", 3);
    assert.equal(breaker.current(), "closed");
    end(breaker, "failure");
    assert.equal(breaker.current(), "open");
  });

  it("lets as many through as it may when its time is over, and closes after so many successes", async () => {
    const breaker = await opened({ maxRequests: 2 });
    await clock.advance(1000);
    const first = enter(breaker);
    const second = enter(breaker);
    assert.deepEqual(breaker.enter({ request: {}, attempt: 1 }), { admitted: false, state: "half-open" });
    breaker.leave(first, "success");
    assert.equal(breaker.current(), "half-open");
    breaker.leave(second, "success");
    assert.equal(breaker.current(), "closed");
    assert.deepEqual(changes, ["open", "half-open", "closed"]);
  });

  it("opens again after one failure of the ones it let through", async () => {
    const breaker = await opened();
    await clock.advance(1000);
    end(breaker, "failure");
    assert.deepEqual(changes, ["open", "half-open", "open"]);
    await clock.advance(999);
    assert.equal(breaker.current(), "open");
  });

  it("gives the place back of one that ended without saying anything", async () => {
    const breaker = await opened();
    await clock.advance(1000);
    end(breaker, "neither");
    end(breaker, "success");
    assert.equal(breaker.current(), "closed");
  });

  it("does not count how a call ends that began in another state", async () => {
    const breaker = breakerWith();
    const late = enter(breaker);
    end(breaker, "failure", 3);
    await clock.advance(1000);
    assert.equal(breaker.current(), "half-open");
    breaker.leave(late, "failure");
    assert.equal(breaker.current(), "half-open");
  });

  it("clears its counts at each interval while it is closed", async () => {
    const breaker = breakerWith({ intervalMs: 500 });
    end(breaker, "failure", 2);
    await clock.advance(500);
    end(breaker, "failure", 2);
    assert.equal(breaker.current(), "closed");
    end(breaker, "failure");
    assert.equal(breaker.current(), "open");
  });

  it("counts the items of one request once per attempt", () => {
    const breaker = breakerWith();
    const request = {};
    for (const attempt of [1, 1, 1, 1, 2, 2, 2]) breaker.leave(enter(breaker, request, attempt), "failure");
    assert.equal(breaker.current(), "closed");
    breaker.leave(enter(breaker, request, 3), "failure");
    assert.equal(breaker.current(), "open");
  });

  it("counts a request as failed of which one item failed after another had succeeded", () => {
    const breaker = breakerWith({ trip: ({ totalFailures }) => totalFailures > 0 });
    const request = {};
    breaker.leave(enter(breaker, request), "success");
    breaker.leave(enter(breaker, request), "failure");
    assert.equal(breaker.current(), "open");
  });

  it("lets all items through of a request that it let through half-open", async () => {
    const breaker = await opened();
    await clock.advance(1000);
    const request = {};
    const items = [enter(breaker, request), enter(breaker, request), enter(breaker, request)];
    assert.equal(breaker.enter({ request: {}, attempt: 1 }).admitted, false);
    for (const item of items) breaker.leave(item, "success");
    assert.equal(breaker.current(), "closed");
  });
});
