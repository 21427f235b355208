import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import type { RetrySpec } from "#crds/resiliency.ts";
import { never } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import type { PolicySeries } from "#sidecar/metrics.ts";
import { Breaker } from "#sidecar/resiliency/breaker.ts";
import { StorePolicy, type StorePolicyParts } from "#sidecar/resiliency/policy.ts";
import { CircuitRefusal } from "#sidecar/state/policies.ts";
import { type Call, StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";
import { ManualClock, settle } from "./manual-clock.ts";

const middle: Random = { uuid: () => "", fraction: () => 0.5 };
const PLAIN = { retry: true, conditional: false, ending: never };

describe("the policy of a store", () => {
  let clock: ManualClock;
  let counted: string[];

  beforeEach(() => {
    clock = new ManualClock();
    counted = [];
  });

  function series(name: string): PolicySeries {
    return {
      applied: (status) => void counted.push(`${name} applied ${status}`),
      activated: (status) => void counted.push(`${name} activated ${status}`),
      breakerState: () => undefined,
    };
  }

  function retry(parts: Partial<RetrySpec>): StorePolicyParts["retry"] {
    const policy: RetrySpec = {
      policy: "constant",
      durationMs: 100,
      maxIntervalMs: 60_000,
      maxRetries: 3,
      hasMatching: false,
      ...parts,
    };
    return { policy, series: series("retry") };
  }

  function breaker(failures: number): StorePolicyParts["breaker"] {
    const policy = new Breaker({
      maxRequests: 1,
      intervalMs: 0,
      timeoutMs: 5000,
      trip: ({ consecutiveFailures }) => consecutiveFailures >= failures,
      clock,
      onChange: () => undefined,
    });
    return { policy, series: series("breaker") };
  }

  function policyWith(parts: Partial<StorePolicyParts>): StorePolicy {
    return new StorePolicy({
      component: "orders",
      timeout: null,
      retry: null,
      breaker: null,
      clock,
      random: middle,
      ...parts,
    });
  }

  /** A store that fails so often, each time with an error of this code, and then answers. */
  function failing(code: StoreErrorCode, times = Number.POSITIVE_INFINITY): (call: Call) => Promise<string> {
    let made = 0;
    return async () => {
      counted.push("asked");
      if (made++ < times) throw new StoreError(code, `failed ${made}`);
      return "answer";
    };
  }

  const asked = (): number => counted.filter((each) => each === "asked").length;
  const call: Call = { signal: new AbortController().signal };

  it("tries again until it succeeds", async () => {
    const outcome = policyWith({ retry: retry({}) }).run(call, PLAIN, failing("unavailable", 2));
    await clock.advance(200);
    assert.equal(await outcome, "answer");
    assert.equal(asked(), 3);
    assert.deepEqual(clock.asked, [100, 100]);
  });

  it("makes so many attempts after the first as maxRetries says, and gives the last one's error", async () => {
    const outcome = policyWith({ retry: retry({ maxRetries: 2 }) }).run(call, PLAIN, failing("failed"));
    const rejected = assert.rejects(outcome, /failed 3/);
    await clock.advance(1000);
    await rejected;
    assert.equal(asked(), 3);
  });

  it("ends a pause when the sidecar ends, with the last attempt's error", async () => {
    const ending = new AbortController();
    const rules = { ...PLAIN, ending: ending.signal };
    const rejected = assert.rejects(
      policyWith({ retry: retry({}) }).run(call, rules, failing("unavailable")),
      /failed 1/,
    );
    await new Promise((resolve) => setImmediate(resolve));
    ending.abort();
    await rejected;
    assert.equal(asked(), 1);
  });

  it("makes one attempt with maxRetries 0", async () => {
    await assert.rejects(policyWith({ retry: retry({ maxRetries: 0 }) }).run(call, PLAIN, failing("failed")));
    assert.equal(asked(), 1);
  });

  it("waits longer each time up to maxInterval when it is exponential", async () => {
    const policy = retry({ policy: "exponential", maxIntervalMs: 1500, maxRetries: 5 });
    const outcome = policyWith({ retry: policy }).run(call, PLAIN, failing("unavailable", 5));
    await clock.advance(60_000);
    await outcome;
    assert.deepEqual(clock.asked, [500, 750, 1125, 1500, 1500]);
  });

  it("spreads the pauses of an exponential policy by a half to both sides", async () => {
    for (const [fraction, pauseMs] of [
      [0, 250],
      [1, 750],
    ] as const) {
      clock = new ManualClock();
      const random = { ...middle, fraction: () => fraction };
      const policy = policyWith({ retry: retry({ policy: "exponential" }), random });
      const outcome = policy.run(call, PLAIN, failing("unavailable", 1));
      await clock.advance(1000);
      await outcome;
      assert.deepEqual(clock.asked, [pauseMs]);
    }
  });

  it("ends after 15 minutes without a number of retries, constant or exponential", async () => {
    for (const kind of ["constant", "exponential"] as const) {
      clock = new ManualClock();
      const policy = retry({ policy: kind, durationMs: 60_000, maxRetries: -1 });
      const outcome = policyWith({ retry: policy }).run(call, PLAIN, failing("unavailable"));
      const rejected = assert.rejects(outcome);
      await clock.advance(15 * 60_000);
      await rejected;
      assert.equal(clock.timers, 0);
    }
  });

  it("waits at least 10 ms, also with a duration of 0", async () => {
    const policy = retry({ durationMs: 0, maxRetries: 2 });
    const outcome = policyWith({ retry: policy }).run(call, PLAIN, failing("unavailable", 2));
    await clock.advance(20);
    await outcome;
    assert.deepEqual(clock.asked, [10, 10]);
  });

  it("ends when the client leaves, also in a pause", async () => {
    const client = new AbortController();
    const outcome = policyWith({ retry: retry({ durationMs: 5000 }) }).run(
      { signal: client.signal },
      PLAIN,
      failing("unavailable"),
    );
    await settle();
    client.abort();
    await assert.rejects(outcome, /failed 1/);
    assert.deepEqual([asked(), clock.timers], [1, 0]);
  });

  for (const code of ["etag-mismatch", "etag-invalid", "refused", "corrupt", "closed"] as const) {
    it(`never tries ${code} again, and does not count it as a failure`, async () => {
      const parts = { retry: retry({}), breaker: breaker(1) };
      await assert.rejects(policyWith(parts).run(call, PLAIN, failing(code)), { code });
      assert.equal(asked(), 1);
      assert.equal(parts.breaker?.policy.current(), "closed");
    });
  }

  for (const code of ["timeout", "unknown-outcome"] as const) {
    it(`tries ${code} again, but not for a conditional call`, async () => {
      const policy = policyWith({ retry: retry({ maxRetries: 1 }) });
      const plain = assert.rejects(policy.run(call, PLAIN, failing(code)));
      await clock.advance(100);
      await plain;
      assert.equal(asked(), 2);
      await assert.rejects(policy.run(call, { retry: true, conditional: true, ending: never }, failing(code)));
      assert.equal(asked(), 3);
    });
  }

  it("leaves retries to a request that brings its own", async () => {
    const rules = { retry: false, conditional: false, ending: never };
    await assert.rejects(policyWith({ retry: retry({}) }).run(call, rules, failing("unavailable")));
    assert.equal(asked(), 1);
  });

  it("ends an attempt at its timeout, whether the store minds the signal or not", async () => {
    let signal: AbortSignal | null = null;
    const hanging = (each: Call): Promise<string> => {
      signal = each.signal;
      return new Promise(() => undefined);
    };
    const outcome = policyWith({ timeout: { policy: 200, series: series("timeout") } }).run(call, PLAIN, hanging);
    const rejected = assert.rejects(outcome, (error) => {
      assert.ok(error instanceof StoreError);
      assert.equal(error.code, "timeout");
      assert.match(error.message, /^context deadline exceeded: orders gave no answer within 200ms$/);
      return true;
    });
    await clock.advance(200);
    await rejected;
    assert.equal((signal as AbortSignal | null)?.aborted, true);
    assert.deepEqual(counted, ["timeout activated "]);
    assert.equal(getEventListeners(call.signal, "abort").length, 0);
  });

  it("gives each attempt a timeout of its own", async () => {
    const policy = policyWith({ timeout: { policy: 200, series: series("timeout") }, retry: retry({ maxRetries: 1 }) });
    let made = 0;
    const outcome = policy.run(call, PLAIN, () => (made++ === 0 ? new Promise<string>(() => undefined) : answer(150)));
    await clock.advance(500);
    assert.equal(await outcome, "answer");

    async function answer(ms: number): Promise<string> {
      await new Promise<void>((resolve) => clock.after(ms, resolve));
      return "answer";
    }
  });

  it("hands the client's leaving on to an attempt that has a timeout", async () => {
    const client = new AbortController();
    const policy = policyWith({ timeout: { policy: 60_000, series: series("timeout") } });
    const outcome = policy.run({ signal: client.signal }, PLAIN, ({ signal }) => {
      return new Promise<string>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new StoreError("timeout", "the caller left")));
      });
    });
    client.abort();
    await assert.rejects(outcome, /the caller left/);
    assert.equal(clock.timers, 0);
  });

  it("refuses at once when the circuit is open, and tries no more", async () => {
    const parts = { breaker: breaker(2), retry: retry({ maxRetries: 9 }) };
    const policy = policyWith(parts);
    const rejected = assert.rejects(policy.run(call, PLAIN, failing("unavailable")), (error) => {
      assert.ok(error instanceof CircuitRefusal);
      assert.deepEqual([error.code, asked()], ["unavailable", 2]);
      assert.match(error.message, /^circuit breaker is open: orders has failed too often; it is tried again in 4\.9s$/);
      return true;
    });
    await clock.advance(200);
    await rejected;
  });

  it("says too many requests to those that a half-open circuit has no place for", async () => {
    const policy = policyWith({ breaker: breaker(1) });
    await assert.rejects(policy.run(call, PLAIN, failing("unavailable")));
    await clock.advance(5000);
    let finish = (_text: string): void => undefined;
    const first = policy.run({ ...call }, PLAIN, () => new Promise<string>((resolve) => (finish = resolve)));
    await assert.rejects(policy.run({ ...call }, PLAIN, failing("unavailable", 0)), /^StoreError: too many requests: /);
    finish("answer");
    assert.equal(await first, "answer");
  });

  it("does not count a client that left against the store", async () => {
    const parts = { breaker: breaker(1) };
    const client = AbortSignal.abort();
    await assert.rejects(policyWith(parts).run({ signal: client }, PLAIN, failing("timeout")));
    assert.equal(parts.breaker?.policy.current(), "closed");
  });

  it("counts a policy once per call, and a retry once however many follow", async () => {
    const policy = policyWith({ retry: retry({}), breaker: breaker(9) });
    policy.applied();
    const outcome = policy.run(call, PLAIN, failing("unavailable", 3));
    await clock.advance(1000);
    await outcome;
    assert.deepEqual(
      counted.filter((each) => each !== "asked"),
      ["retry applied ", "breaker applied closed", "retry activated "],
    );
  });
});
