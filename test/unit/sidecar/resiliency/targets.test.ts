import assert from "node:assert/strict";
import { load } from "js-yaml";
import { parseResiliency, type Resiliency } from "#crds/resiliency.ts";
import { describeFault } from "#kit/fault.ts";
import { choose, mergeResources, unmetNames } from "#sidecar/resiliency/targets.ts";

function resource(name: string, spec: string): Resiliency {
  const document = { apiVersion: "dapr.io/v1alpha1", kind: "Resiliency", metadata: { name }, spec: load(spec) };
  const { resiliency, faults } = parseResiliency(document);
  assert.ok(resiliency !== null, JSON.stringify(faults));
  return resiliency;
}

/** The names that are chosen, and the resource of each. */
function chosen(component: string, ...resources: Resiliency[]): (string | null)[] {
  const { timeout, retry, circuitBreaker } = choose(mergeResources(resources), component);
  return [timeout, retry, circuitBreaker].map((each) =>
    each === null ? null : `${each.resiliency.name}/${each.name}`,
  );
}

describe("the policies of a state store", () => {
  it("are the ones of its target", () => {
    const r = resource(
      "r",
      `policies: {timeouts: {a: 1s, b: 2s}, retries: {a: {}, b: {}}, circuitBreakers: {a: {}, b: {}}}
targets: {components: {orders: {outbound: {timeout: a, retry: b, circuitBreaker: a}, inbound: {timeout: b}}}}`,
    );
    assert.deepEqual(chosen("orders", r), ["r/a", "r/b", "r/a"]);
    assert.deepEqual(chosen("other", r), [null, null, null]);
  });

  const defaults = `policies:
  timeouts: {DefaultTimeoutPolicy: 1s, DefaultComponentTimeoutPolicy: 2s}
  retries: {DefaultComponentOutboundRetryPolicy: {}, DefaultComponentRetryPolicy: {}, DefaultRetryPolicy: {}}
  circuitBreakers: {DefaultStatestoreComponentOutboundCircuitBreakerPolicy: {}, DefaultCircuitBreakerPolicy: {}}
`;

  it("are else the defaults, each kind searched by itself from the narrowest name on", () => {
    assert.deepEqual(chosen("orders", resource("r", defaults)), [
      "r/DefaultComponentTimeoutPolicy",
      "r/DefaultComponentOutboundRetryPolicy",
      "r/DefaultStatestoreComponentOutboundCircuitBreakerPolicy",
    ]);
  });

  it("are no defaults for a Component that is a target, even with an inbound entry only", () => {
    const spec = `${defaults}targets: {components: {orders: {inbound: {timeout: DefaultTimeoutPolicy}}}}`;
    assert.deepEqual(chosen("orders", resource("r", spec)), [null, null, null]);
  });

  it("come from all resources, of which the later wins by name", () => {
    const first = resource("first", "policies: {timeouts: {a: 1s}, retries: {a: {}}}");
    const later = resource(
      "later",
      "policies: {timeouts: {a: 2s}}\ntargets: {components: {orders: {outbound: {timeout: a, retry: a}}}}",
    );
    assert.deepEqual(chosen("orders", first, later), ["later/a", "first/a", null]);
    assert.equal(choose(mergeResources([first, later]), "orders").timeout?.policy, 2000);
  });

  it("have no timeout when it is 0", () => {
    assert.deepEqual(chosen("x", resource("r", "policies: {timeouts: {DefaultTimeoutPolicy: 0s}}")), [
      null,
      null,
      null,
    ]);
  });

  it("that a target names and nobody defines are told, with the nearest one", () => {
    const r = resource(
      "r",
      `policies: {timeouts: {quick: 1s}, retries: {some: {matching: {httpStatusCodes: "500"}}}}
targets: {components: {a: {outbound: {timeout: quik, retry: DaprBuiltInServiceRetries, circuitBreaker: cb}}, b: {outbound: {retry: some}}}}`,
    );
    const told = unmetNames(mergeResources([r])).map(({ resiliency, fault }) => {
      return `${resiliency.name} ${fault.severity} ${describeFault(fault)}`;
    });
    const [a, b] = ["a", "b"].map((name) => `r warning spec.targets.components.${name}.outbound`);
    const want = "want a policy that a Resiliency defines";
    assert.deepEqual(told, [
      `${a}.timeout: got "quik", ${want}; did you mean quick?`,
      `${a}.retry: got "DaprBuiltInServiceRetries", ${want}; Dapr's own is not for state stores: nothing is retried`,
      `${a}.circuitBreaker: got "cb", ${want}`,
      `${b}.retry: got "some", want a policy without matching; it has no effect: the errors of a store carry no status codes`,
    ]);
  });
});
