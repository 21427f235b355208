// The watch for pods without a sidecar on a cluster in memory at the KubeClient's border, with a clock moved by hand.

import { PREFIXES } from "#crds/annotations.ts";
import { type KubeClient, KubeError, type KubeRequest } from "#operator/kube/client.ts";
import type { Told } from "#operator/kube/events.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import type { ObjectCache } from "#operator/kube/object-cache.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { GRACE_MS, ROUND_MS, UnsidecaredPods } from "#operator/pods/unsidecared.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { silentLog } from "../components/silent-log.ts";
import { podCache } from "./pods.ts";

export function refused(status: number): KubeError {
  return new KubeError(`answered ${status}`, { status, reason: null, retryAfterMs: null });
}

export class PodBench implements KubeClient {
  readonly cache: ObjectCache<KubeObject> = podCache();
  readonly clock: ManualClock = new ManualClock();
  readonly told: Told[] = [];
  readonly counts: number[] = [];
  /** Names of the pods that were asked for, in order. */
  readonly asked: string[] = [];
  readonly methods: Set<string> = new Set();
  /** What the API server has beside the metadata, by name; or its refusal. */
  readonly whole: Map<string, object | KubeError> = new Map();
  readonly watch: UnsidecaredPods;
  leads = true;

  constructor(prefixes: readonly string[] = PREFIXES) {
    const { cache, clock, counts, told } = this;
    this.watch = new UnsidecaredPods({
      pods: cache,
      prefixes,
      client: this,
      events: { tell: (each) => told.push(each) },
      metrics: { ...noOperatorMetrics, unsidecared: (count) => void counts.push(count) },
      clock,
      log: silentLog,
      mayWrite: () => this.leads,
    });
  }

  /** Lets the grace and a round pass. */
  later(): Promise<void> {
    return this.clock.advance(GRACE_MS + ROUND_MS);
  }

  async request<T>({ method, path }: KubeRequest): Promise<T> {
    const name = path.slice(path.lastIndexOf("/") + 1);
    this.asked.push(name);
    this.methods.add(method);
    const pod = this.cache.get(`shop/${name}`);
    const rest = this.whole.get(name) ?? {};
    if (rest instanceof KubeError) throw rest;
    if (pod === undefined) throw refused(404);
    return { ...pod, spec: { containers: [{ name: "app" }] }, status: { phase: "Running" }, ...rest } as T;
  }

  stream(): Promise<AsyncIterable<Buffer>> {
    return Promise.reject(refused(0));
  }

  close(): void {
    this.watch.close();
  }
}
