import assert from "node:assert/strict";
import { load } from "js-yaml";
import { type ParsedResiliency, parseResiliency } from "#crds/resiliency.ts";
import { describeFault } from "#kit/fault.ts";

function parse(text: string): ParsedResiliency {
  return parseResiliency(load(`apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {name: r}\n${text}`));
}

function faultsOf(text: string): string[] {
  return parse(text).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("a Resiliency", () => {
  it("is read with all its parts", () => {
    const { resiliency, faults } = parse(`
scopes: [a, b]
spec:
  policies:
    timeouts: {general: 5s, bare: 250}
    retries:
      pubsub: {policy: constant, duration: 5s, maxRetries: 10}
      grow: {policy: Exponential, maxInterval: 15s, maxRetries: -1, matching: {httpStatusCodes: "429,500-599"}}
    circuitBreakers:
      simple: {maxRequests: 2, interval: 8s, timeout: 45s, trip: consecutiveFailures > 8}
  targets:
    apps: {appB: {timeout: general, retry: pubsub, circuitBreaker: simple, circuitBreakerCacheSize: 10}}
    actors: {myActor: {timeout: general, circuitBreakerScope: both}}
    components:
      orders:
        outbound: {timeout: general, retry: grow}
        inbound: {circuitBreaker: simple}
`);
    assert.deepEqual(faults, []);
    assert.ok(resiliency !== null);
    assert.deepEqual([resiliency.name, resiliency.namespace, resiliency.scopes], ["r", null, ["a", "b"]]);
    assert.deepEqual(
      [...resiliency.timeouts],
      [
        ["general", 5000],
        ["bare", 250],
      ],
    );
    const constant = {
      policy: "constant",
      durationMs: 5000,
      maxIntervalMs: 60_000,
      maxRetries: 10,
      hasMatching: false,
    };
    assert.deepEqual(resiliency.retries.get("pubsub"), constant);
    const grow = { policy: "exponential", durationMs: 5000, maxIntervalMs: 15_000, maxRetries: -1, hasMatching: true };
    assert.deepEqual(resiliency.retries.get("grow"), grow);
    assert.deepEqual(resiliency.circuitBreakers.get("simple"), {
      maxRequests: 2,
      intervalMs: 8000,
      timeoutMs: 45_000,
      trip: "consecutiveFailures > 8",
      tripPath: "spec.policies.circuitBreakers.simple.trip",
    });
    const names = { timeout: "general", retry: "grow", circuitBreaker: null };
    assert.deepEqual([...resiliency.components], [["orders", names]]);
  });

  it("has Dapr's defaults", () => {
    const { resiliency } = parse("spec: {policies: {retries: {a: {}}, circuitBreakers: {a: {}}}}");
    const retry = { policy: "constant", durationMs: 5000, maxIntervalMs: 60_000, maxRetries: -1, hasMatching: false };
    assert.deepEqual(resiliency?.retries.get("a"), retry);
    const { tripPath: _, ...breaker } = resiliency?.circuitBreakers.get("a") ?? { tripPath: "" };
    assert.deepEqual(breaker, { maxRequests: 1, intervalMs: 0, timeoutMs: 60_000, trip: null });
  });

  it("tells every fault at once, with its path", () => {
    const text = `
spec:
  policies:
    timeouts: {a: soon, b: -1s}
    retries: {r: {policy: linear, duration: 5x, maxRetries: "3"}}
    circuitBreakers: {c: {maxRequests: -1, timeout: [1s]}}
  targets: {components: {orders: none}}
`;
    const duration = 'want a duration from 0 to 480h, as "5s", "1m30s" or a number of milliseconds';
    assert.deepEqual(faultsOf(text), [
      `error spec.policies.timeouts.a: got "soon", ${duration}`,
      `error spec.policies.timeouts.b: got "-1s", ${duration}`,
      'error spec.policies.retries.r.policy: got "linear", want "constant" or "exponential"',
      `error spec.policies.retries.r.duration: got "5x", ${duration}`,
      'error spec.policies.retries.r.maxRetries: got "3", want a whole number from -1000000 to 1000000, without quotes, not text',
      'error spec.policies.circuitBreakers.c.maxRequests: got "-1", want a whole number from 0 to 1000000, without quotes',
      `error spec.policies.circuitBreakers.c.timeout: ${duration}, not a list`,
      "error spec.targets.components.orders: want a mapping of names to values, not text",
    ]);
    assert.equal(parse(text).resiliency, null);
  });

  it("warns of what has no effect", () => {
    const text = `
spec:
  scopes: [a]
  policies:
    retries: {a: {maxInterval: 5s}, b: {policy: exponential, duration: 1s}, DaprBuiltInServiceRetries: {maxRetries: 1}}
    timeout: {}
`;
    const warnings = faultsOf(text);
    assert.equal(warnings.length, 5);
    assert.ok(warnings.every((each) => each.startsWith("warning ")));
    assert.match(warnings.join("\n"), /spec\.scopes: .*stands at the top of the document/);
    assert.match(warnings.join("\n"), /retries\.a\.maxInterval: .*policy: constant/);
    assert.match(warnings.join("\n"), /retries\.b\.duration: .*policy: exponential/);
    assert.match(warnings.join("\n"), /maxRetries: want at least 3 retries/);
    assert.match(warnings.join("\n"), /policies\.timeout: .*did you mean timeouts\?/);
    assert.equal(parse(text).resiliency?.retries.get("DaprBuiltInServiceRetries")?.maxRetries, 3);
  });
});
