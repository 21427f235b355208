// Pods that ask for a sidecar and run without one: told by an Event on the pod, once, and by a metric. Deletes and patches
// nothing (dapr-kubernetes.md 3.3 has what a watchdog that does has led to). Reads metadata, and the few suspects whole.
import { isEnabled } from "#crds/annotation-reader.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Cache } from "../kube/cache.ts";
import { type KubeClient, KubeError } from "../kube/client.ts";
import type { Events } from "../kube/events.ts";
import { type KubeObject, keyOf, type ObjectKey, splitKey } from "../kube/object.ts";
import { pathOf } from "../kube/paths.ts";
import type { OperatorMetrics } from "../metrics.ts";

/** Both injectors set it to "true" on the pods that they give a sidecar. */
const INJECTED_LABEL = "dapr.io/sidecar-injected";
const SIDECAR_CONTAINER = "daprd";
/** After a pod was made, in milliseconds: one that ends at once, or is labelled late, is no news. */
export const GRACE_MS = 30_000;
/** From one round over the suspects to the next, in milliseconds. */
export const ROUND_MS = 15_000;
/** Between two looks at the same suspect, in milliseconds. */
export const LOOK_AGAIN_MS = 300_000;
/** Most pods that a round asks the API server for. */
export const LOOKS_MAX = 50;

export interface UnsidecaredContext {
  /** Metadata is enough. */
  readonly pods: Cache<KubeObject>;
  readonly client: KubeClient;
  readonly events: Events;
  readonly metrics: OperatorMetrics;
  readonly clock: Clock;
  readonly log: Log;
  /** Under which prefixes a pod asks for a sidecar of ours; beside Dapr not under its own. */
  readonly prefixes: readonly string[];
  /** Whether this replica leads: only then it tells. */
  readonly mayWrite: () => boolean;
}

interface Suspect {
  readonly uid: string;
  /** When to look at it next; wall clock, as the pod's own time. */
  dueAtMs: number;
  isWithout: boolean;
  isTold: boolean;
}

interface WholePod extends KubeObject {
  readonly spec?: { readonly containers?: readonly Named[]; readonly initContainers?: readonly Named[] };
  readonly status?: { readonly phase?: string };
}

interface Named {
  readonly name: string;
}

export class UnsidecaredPods {
  readonly #context: UnsidecaredContext;
  /** Ask for a sidecar and carry no sign of one: at most as many as there are pods. */
  readonly #suspects = new Map<ObjectKey, Suspect>();
  readonly #end: () => void;
  #timer: Timer;
  #isClosed = false;

  constructor(context: UnsidecaredContext) {
    this.#context = context;
    for (const pod of context.pods.all()) this.#consider(keyOf(pod), pod);
    this.#end = context.pods.onChange((key, now) => this.#consider(key, now));
    this.#timer = context.clock.after(ROUND_MS, () => this.#round());
  }

  close(): void {
    this.#isClosed = true;
    this.#end();
    this.#timer.cancel();
  }

  #consider(key: ObjectKey, pod: KubeObject | undefined): void {
    if (pod === undefined || !isSuspect(pod, this.#context.prefixes)) {
      if (this.#suspects.delete(key)) this.#count();
      return;
    }
    if (this.#suspects.get(key)?.uid === pod.metadata.uid) return;
    const { nowMs } = this.#context.clock;
    const madeAtMs = Date.parse(pod.metadata.creationTimestamp ?? "");
    const dueAtMs = (Number.isNaN(madeAtMs) ? nowMs() : madeAtMs) + GRACE_MS;
    this.#suspects.set(key, { uid: pod.metadata.uid, dueAtMs, isWithout: false, isTold: false });
  }

  #round(): void {
    void this.#look().finally(() => {
      if (this.#isClosed) return;
      this.#timer = this.#context.clock.after(ROUND_MS, () => this.#round());
    });
  }

  async #look(): Promise<void> {
    const nowMs = this.#context.clock.nowMs();
    const due = [...this.#suspects].filter(([, suspect]) => this.#isDue(suspect, nowMs)).slice(0, LOOKS_MAX);
    const errors: unknown[] = [];
    for (const [key, suspect] of due) {
      suspect.dueAtMs = nowMs + LOOK_AGAIN_MS;
      try {
        this.#judge(suspect, await this.#get(key));
      } catch (error) {
        errors.push(error);
        suspect.dueAtMs = nowMs + ROUND_MS;
      }
    }
    this.#count();
    if (errors.length > 0)
      this.#context.log.warn("pods not checked for a sidecar", { pods: errors.length, error: String(errors[0]) });
  }

  #judge(suspect: Suspect, pod: WholePod | null): void {
    suspect.isWithout = pod !== null && pod.metadata.uid === suspect.uid && isWithout(pod, this.#context.prefixes);
    if (pod !== null && suspect.isWithout && !suspect.isTold) this.#tell(pod, suspect);
  }

  /** Also one that another replica knew while it led: this one has not told it. */
  #isDue({ dueAtMs, isWithout, isTold }: Suspect, nowMs: number): boolean {
    return nowMs >= dueAtMs || (isWithout && !isTold && this.#context.mayWrite());
  }

  async #get(key: ObjectKey): Promise<WholePod | null> {
    try {
      const place = { apiVersion: "v1", plural: "pods", ...splitKey(key) };
      return await this.#context.client.request<WholePod>({ method: "GET", path: pathOf(place) });
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  #tell(pod: WholePod, suspect: Suspect): void {
    const { mayWrite, events } = this.#context;
    if (!mayWrite()) return;
    suspect.isTold = true;
    const note =
      "the pod asks for a sidecar by annotation and runs without one: it was made while the webhook was away, or in a " +
      "namespace that is left out. Delete it, so that it is made again; see docs/status.md";
    const about = { apiVersion: "v1", kind: "Pod", metadata: pod.metadata };
    events.tell({ about, type: "Warning", reason: "SidecarMissing", action: "Inject", note });
  }

  #count(): void {
    let count = 0;
    for (const { isWithout } of this.#suspects.values()) if (isWithout) count++;
    this.#context.metrics.unsidecared(count);
  }
}

function isSuspect({ metadata }: KubeObject, prefixes: readonly string[]): boolean {
  const { annotations = {}, labels = {}, deletionTimestamp } = metadata;
  return isEnabled(annotations, prefixes) && labels[INJECTED_LABEL] !== "true" && deletionTimestamp === undefined;
}

/** A container of that name is a sidecar, whoever put it there; a pod that has ended needs none. */
function isWithout({ spec, status, metadata }: WholePod, prefixes: readonly string[]): boolean {
  if (!isSuspect({ metadata }, prefixes) || status?.phase === "Succeeded" || status?.phase === "Failed") return false;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  return !containers.some(({ name }) => name === SIDECAR_CONTAINER);
}
