import assert from "node:assert/strict";
import { load } from "js-yaml";
import { parseResiliency, type Resiliency } from "#crds/resiliency.ts";
import { never } from "#kit/clock.ts";
import { createLog, type Log } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { Resiliencies } from "#sidecar/resiliency/resiliencies.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { ManualClock } from "./manual-clock.ts";

function resource(name: string, spec: string): Resiliency {
  const { resiliency } = parseResiliency({ metadata: { name }, spec: load(spec) });
  assert.ok(resiliency !== null);
  return resiliency;
}

const breaker = (trip: string): string =>
  `policies: {circuitBreakers: {cb: {timeout: 10s, trip: "${trip}"}}}\ntargets: {components: {orders: {outbound: {circuitBreaker: cb}}}}`;

describe("the Resiliencies in effect", () => {
  let clock: ManualClock;
  let lines: string[];
  let states: (string | null)[];
  let loaded: string[];
  let resiliencies: Resiliencies;

  beforeEach(() => {
    clock = new ManualClock();
    lines = [];
    states = [];
    loaded = [];
    const metrics = {
      ...noMetrics,
      resiliencyLoaded: (name: string) => void loaded.push(name),
      policy: () => ({
        applied: () => undefined,
        activated: () => undefined,
        breakerState: (state: string | null) => void states.push(state),
      }),
    };
    resiliencies = new Resiliencies({ clock, random: systemRandom, log: logTo(lines), metrics });
  });

  /** One call of the store that fails. */
  async function fail(): Promise<void> {
    const call = { signal: new AbortController().signal };
    const policy = resiliencies.of("orders");
    assert.ok(policy !== null);
    const error = new StoreError("unavailable", "the store is down");
    await assert.rejects(
      policy.run(call, { retry: true, conditional: false, ending: never }, () => Promise.reject(error)),
    );
  }

  it("give no policy for a store that none applies to", async () => {
    await resiliencies.replace([resource("r", "policies: {timeouts: {a: 1s}}")]);
    assert.equal(resiliencies.of("orders"), null);
  });

  it("open a circuit by the expression of the resource", async () => {
    await resiliencies.replace([resource("r", breaker("totalFailures >= 2"))]);
    await fail();
    await fail();
    assert.deepEqual(states, ["closed", "open"]);
    assert.ok(lines.some((line) => line.includes("circuit breaker cb-orders is open")));
  });

  it("open a circuit after more than five failures in a row without an expression", async () => {
    await resiliencies.replace([resource("r", breaker(""))]);
    for (let i = 0; i < 5; i++) await fail();
    assert.deepEqual(states, ["closed"]);
    await fail();
    assert.deepEqual(states, ["closed", "open"]);
  });

  it("keep a circuit closed whose expression cannot be computed, and say so once", async () => {
    await resiliencies.replace([resource("r", breaker("totalFailures / totalSuccesses > 2"))]);
    for (let i = 0; i < 9; i++) await fail();
    assert.deepEqual(states, ["closed"]);
    assert.equal(lines.filter((line) => line.includes("cannot compute its trip expression")).length, 1);
  });

  it("keep an open circuit when another part of the set changes", async () => {
    const own = resource("r", breaker("totalFailures >= 1"));
    await resiliencies.replace([own]);
    await fail();
    await resiliencies.replace([own, resource("other", "policies: {timeouts: {a: 1s}}")]);
    await fail();
    assert.deepEqual(states, ["closed", "open"]);
    assert.deepEqual(loaded, ["r", "other"]);
    assert.deepEqual(resiliencies.names(), ["r", "other"]);
  });

  it("begin with a closed circuit when its policy has changed, whatever calls of the old one come to", async () => {
    await resiliencies.replace([resource("r", breaker("totalFailures >= 1"))]);
    const old = resiliencies.of("orders");
    await resiliencies.replace([resource("r", breaker("totalFailures >= 3"))]);
    const call = { signal: new AbortController().signal };
    const error = new StoreError("unavailable", "late");
    assert.ok(old !== null);
    await assert.rejects(
      old.run(call, { retry: true, conditional: false, ending: never }, () => Promise.reject(error)),
    );
    await fail();
    assert.deepEqual(states, ["closed", null, "closed"]);
  });

  it("change nothing for a set that is the same", async () => {
    const spec = breaker("totalFailures >= 1");
    await resiliencies.replace([resource("r", spec)]);
    await resiliencies.replace([resource("r", spec)]);
    assert.deepEqual(loaded, ["r"]);
  });

  it("tell what a target does not get, once", async () => {
    const wrong = resource("r", "targets: {components: {orders: {outbound: {timeout: none}}}}");
    await resiliencies.replace([wrong]);
    await resiliencies.replace([wrong, resource("other", "{}")]);
    assert.equal(lines.filter((line) => line.includes("want a policy that a Resiliency defines")).length, 1);
  });
});

function logTo(lines: string[]): Log {
  const write = (line: string): void => void lines.push(line);
  return createLog({ level: "info", json: false, appId: "a", instance: "", version: "", write, nowMs: () => 0 });
}
