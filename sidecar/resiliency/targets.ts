// Which policies apply to a state store, of all resources together (dapr-state-api.md 7.3). Pure: counts and calls nothing.
import {
  type BreakerSpec,
  isBuiltInRetry,
  type Resiliency,
  type RetrySpec,
  type TargetPolicies,
} from "#crds/resiliency.ts";
import type { Fault } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";

/** A policy with the resource that it stands in. */
export interface Defined<T> {
  readonly name: string;
  readonly policy: T;
  readonly resiliency: Resiliency;
}

/** All resources as one. Of two with one name the later counts, as with Dapr. */
export interface Merged {
  readonly timeouts: ReadonlyMap<string, Defined<number>>;
  readonly retries: ReadonlyMap<string, Defined<RetrySpec>>;
  readonly circuitBreakers: ReadonlyMap<string, Defined<BreakerSpec>>;
  readonly components: ReadonlyMap<string, Defined<TargetPolicies>>;
}

export interface Chosen {
  /** Milliseconds, above 0. */
  readonly timeout: Defined<number> | null;
  readonly retry: Defined<RetrySpec> | null;
  readonly circuitBreaker: Defined<BreakerSpec> | null;
}

export function mergeResources(resources: readonly Resiliency[]): Merged {
  const collect = <T>(of: (each: Resiliency) => ReadonlyMap<string, T>): Map<string, Defined<T>> =>
    new Map(
      resources.flatMap((resiliency) =>
        [...of(resiliency)].map(([name, policy]) => [name, { name, policy, resiliency }] as const),
      ),
    );
  return {
    timeouts: collect((each) => each.timeouts),
    retries: collect((each) => each.retries),
    circuitBreakers: collect((each) => each.circuitBreakers),
    components: collect((each) => each.components),
  };
}

/** The names that are tried for a state store which is no target, in their order. */
function defaultNames(kind: "Timeout" | "Retry" | "CircuitBreaker"): readonly string[] {
  return ["StatestoreComponentOutbound", "ComponentOutbound", "Component", ""].map(
    (part) => `Default${part}${kind}Policy`,
  );
}

const DEFAULT_TIMEOUTS = defaultNames("Timeout");
const DEFAULT_RETRIES = defaultNames("Retry");
const DEFAULT_BREAKERS = defaultNames("CircuitBreaker");

/** For a Component that is a target only what its outbound entry names, for any other each kind's first default. */
export function choose(merged: Merged, component: string): Chosen {
  const target = merged.components.get(component)?.policy;
  const names = (named: string | null | undefined, defaults: readonly string[]): readonly string[] => {
    if (target === undefined) return defaults;
    return named === null || named === undefined ? [] : [named];
  };
  const timeout = first(merged.timeouts, names(target?.timeout, DEFAULT_TIMEOUTS));
  return {
    timeout: timeout?.policy === 0 ? null : timeout,
    retry: first(merged.retries, names(target?.retry, DEFAULT_RETRIES)),
    circuitBreaker: first(merged.circuitBreakers, names(target?.circuitBreaker, DEFAULT_BREAKERS)),
  };
}

function first<T>(policies: ReadonlyMap<string, Defined<T>>, names: readonly string[]): Defined<T> | null {
  for (const name of names) {
    const found = policies.get(name);
    if (found !== undefined) return found;
  }
  return null;
}

/** What a target asks for and does not get. */
export interface UnmetName {
  /** The resource that the target stands in. */
  readonly resiliency: Resiliency;
  /** A warning; its field is the member that names the policy. */
  readonly fault: Fault;
}

export function unmetNames(merged: Merged): readonly UnmetName[] {
  const unmet: UnmetName[] = [];
  for (const [component, { policy, resiliency }] of merged.components) {
    const warn = (kind: string, fault: Pick<Fault, "got" | "want" | "hint">): void => {
      const field = `spec.targets.components.${component}.outbound.${kind}`;
      unmet.push({ resiliency, fault: { severity: "warning", field, ...fault } });
    };
    const kinds = [
      ["timeout", policy.timeout, merged.timeouts],
      ["retry", policy.retry, merged.retries],
      ["circuitBreaker", policy.circuitBreaker, merged.circuitBreakers],
    ] as const;
    for (const [kind, name, defined] of kinds)
      if (name !== null && !defined.has(name))
        warn(kind, { got: name, want: "a policy that a Resiliency defines", hint: hintFor(name, defined.keys()) });
    const retry = policy.retry === null ? undefined : merged.retries.get(policy.retry);
    if (retry?.policy.hasMatching === true)
      warn("retry", { got: retry.name, want: "a policy without matching", hint: MATCHING });
  }
  return unmet;
}

const MATCHING = "it has no effect: the errors of a store carry no status codes";

function hintFor(name: string, known: Iterable<string>): string | null {
  if (isBuiltInRetry(name)) return "Dapr's own is not for state stores: nothing is retried";
  const near = nearest(name, known);
  return near === null ? null : `did you mean ${near}?`;
}
