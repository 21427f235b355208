// The Resiliency resources in effect, as policies of the state stores. Follows changes of the set; reads no file.
import type { BreakerSpec, Resiliency } from "#crds/resiliency.ts";
import { assert } from "#kit/assert.ts";
import type { Clock } from "#kit/clock.ts";
import { describeFault } from "#kit/fault.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Metrics, PolicySeries, PolicySubject } from "../metrics.ts";
import type { Policies, Policy } from "../state/policies.ts";
import { Breaker, type BreakerState, type Counts, type Trip } from "./breaker.ts";
import { type Counted, StorePolicy } from "./policy.ts";
import { choose, type Defined, type Merged, mergeResources, unmetNames } from "./targets.ts";

export interface ResilienciesOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** A breaker that outlives a reload in which its policy stays as it is. */
interface Running {
  /** Equal for equal policies. */
  readonly spec: string;
  readonly breaker: Breaker;
  readonly series: PolicySeries;
}

/** Dapr's own trip expression: `consecutiveFailures > 5`. */
const tripByDefault: Trip = ({ consecutiveFailures }: Counts) => consecutiveFailures > 5;

export class Resiliencies implements Policies {
  readonly #options: ResilienciesOptions;
  #merged: Merged = mergeResources([]);
  #loaded: readonly Resiliency[] = [];
  /** By expression. */
  #trips: ReadonlyMap<string, Trip> = new Map();
  /** By Component, made when it is first asked for. Null: nothing applies to it. */
  #policies = new Map<string, StorePolicy | null>();
  /** By Component: all operations of a store share one. */
  #breakers = new Map<string, Running>();
  #notes: ReadonlySet<string> = new Set();

  constructor(options: ResilienciesOptions) {
    this.#options = { ...options, log: options.log.scoped("dapr.runtime.resiliency") };
  }

  /** Names of the resources, in the order in which they were loaded. */
  names(): readonly string[] {
    return this.#loaded.map(({ name }) => name);
  }

  of(component: string): Policy | null {
    let policy = this.#policies.get(component);
    if (policy === undefined) {
      policy = this.#make(component);
      this.#policies.set(component, policy);
    }
    policy?.applied();
    return policy;
  }

  /** Takes another set in place of the one before. Calls under way end under the policies that they began with. */
  async replace(resources: readonly Resiliency[]): Promise<void> {
    const texts = resources.map((each) => JSON.stringify(each, mapsAsEntries));
    const before = this.#loaded.map((each) => JSON.stringify(each, mapsAsEntries));
    if (texts.join("\n") === before.join("\n")) return;
    const trips = await compileTrips(resources);
    for (const [index, { name, namespace }] of resources.entries()) {
      if (before.includes(texts[index] ?? "")) continue;
      this.#options.metrics.resiliencyLoaded(name, namespace ?? "");
      this.#options.log.info(`Loading Resiliency configuration: ${name}`);
    }
    this.#trips = trips;
    this.#loaded = resources;
    this.#merged = mergeResources(resources);
    this.#policies = new Map();
    this.#dropBreakers();
    const unmet = unmetNames(this.#merged);
    this.#note(unmet.map(({ resiliency, fault }) => `Resiliency ${resiliency.name}: ${describeFault(fault)}`));
  }

  #note(notes: readonly string[]): void {
    for (const note of notes) if (!this.#notes.has(note)) this.#options.log.warn(note);
    this.#notes = new Set(notes);
  }

  /** Those whose policy is another one now, or none. */
  #dropBreakers(): void {
    for (const [component, { spec, series }] of this.#breakers) {
      const chosen = choose(this.#merged, component).circuitBreaker;
      if (chosen !== null && specOf(chosen) === spec) continue;
      series.breakerState(null);
      this.#breakers.delete(component);
    }
  }

  #make(component: string): StorePolicy | null {
    const { clock, random, metrics } = this.#options;
    const { timeout, retry, circuitBreaker } = choose(this.#merged, component);
    if (timeout === null && retry === null && circuitBreaker === null) return null;
    const counted = <T>(policy: PolicySubject["policy"], defined: Defined<T> | null): Counted<T> | null =>
      defined === null
        ? null
        : { policy: defined.policy, series: metrics.policy(subjectOf(component, policy, defined.resiliency)) };
    return new StorePolicy({
      component,
      timeout: counted("timeout", timeout),
      retry: counted("retry", retry),
      breaker: circuitBreaker === null ? null : this.#breaker(component, circuitBreaker),
      clock,
      random,
    });
  }

  #breaker(component: string, defined: Defined<BreakerSpec>): Counted<Breaker> {
    const known = this.#breakers.get(component);
    if (known !== undefined) return { policy: known.breaker, series: known.series };
    const series = this.#options.metrics.policy(subjectOf(component, "circuitbreaker", defined.resiliency));
    const title = `circuit breaker ${defined.name}-${component}`;
    const onChange = (state: BreakerState): void => {
      // A call that began before a reload may end after it: this is not the store's breaker any more.
      if (this.#breakers.get(component)?.breaker !== breaker) return;
      series.activated(state);
      series.breakerState(state);
      if (state === "open") this.#options.log.warn(`${title} is open: calls of the store are refused`);
      else this.#options.log.info(`${title} is ${state}`);
    };
    const { maxRequests, intervalMs, timeoutMs, trip } = defined.policy;
    const trips = trip === null ? tripByDefault : this.#careful(this.#trips.get(trip), title);
    const { clock } = this.#options;
    const breaker: Breaker = new Breaker({ maxRequests, intervalMs, timeoutMs, trip: trips, clock, onChange });
    series.breakerState("closed");
    this.#breakers.set(component, { spec: specOf(defined), breaker, series });
    return { policy: breaker, series };
  }

  /** One that cannot be computed, say for a division by 0, does not trip, as with Dapr; the log says so once. */
  #careful(trip: Trip | undefined, title: string): Trip {
    assert(trip !== undefined, `the trip expression of ${title} was not compiled`);
    let told = false;
    return (counts) => {
      try {
        return trip(counts);
      } catch (error) {
        const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
        if (!told) this.#options.log.warn(`${title} cannot compute its trip expression and stays closed`, { reason });
        told = true;
        return false;
      }
    };
  }
}

function subjectOf(component: string, policy: PolicySubject["policy"], { name, namespace }: Resiliency): PolicySubject {
  return { name, namespace: namespace ?? "", policy, target: `Statestore_${component}` };
}

function specOf({ name, policy, resiliency }: Defined<BreakerSpec>): string {
  return JSON.stringify([resiliency.name, resiliency.namespace, name, policy]);
}

function mapsAsEntries(_name: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

/** All expressions of the resources. They were checked when the resources were decoded. */
async function compileTrips(resources: readonly Resiliency[]): Promise<ReadonlyMap<string, Trip>> {
  const texts = new Set(
    resources.flatMap(({ circuitBreakers }) => [...circuitBreakers.values()].map(({ trip }) => trip)),
  );
  const trips = new Map<string, Trip>();
  for (const text of texts) {
    if (text === null) continue;
    const { compileTrip } = await import("./trip.ts");
    const compiled = compileTrip(text);
    assert("trip" in compiled, "a trip expression that was decoded cannot be compiled");
    trips.set(text, compiled.trip);
  }
  return trips;
}
