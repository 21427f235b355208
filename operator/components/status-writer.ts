// Writes the status of Components by server-side apply: only the leader, only what differs, at most once a second each,
// with an Event for each change of a condition. Where the resource has no status, Events are all there is.
import { API_VERSION } from "#crds/component.ts";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { apply } from "../kube/apply.ts";
import { type KubeClient, KubeError } from "../kube/client.ts";
import type { Events } from "../kube/events.ts";
import { keyOf, type ObjectKey } from "../kube/object.ts";
import { pathOf } from "../kube/paths.ts";
import type { OperatorMetrics } from "../metrics.ts";
import { announcementsOf } from "./announcements.ts";
import { type Known, statusOf } from "./conditions.ts";
import type { ResourceObject } from "./manifest.ts";
import { shownStatus } from "./shown-status.ts";
import type { ComponentStatus, ConditionType } from "./status.ts";

/** Owner of our part of the status. */
export const STATUS_MANAGER = "pannier-status";
/** Between two writes of one Component's status, in milliseconds. */
export const WRITE_INTERVAL_MS = 1000;
/**
 * A replica that begins to lead has heard few sidecars yet. For so long one that is missing does not count as gone, in
 * milliseconds: twice a sidecar's longest pause between two tries.
 */
export const HEARING_MS = 60_000;
/** How long what was written counts for more than the cache, which may not have it yet, in milliseconds. */
const CACHE_LAG_MAX_MS = 10_000;
/** Until the status is tried again where the resource has none: somebody may have put our CRD in place. In milliseconds. */
export const NO_STATUS_RETRY_MS = 600_000;

export interface StatusWriterContext {
  readonly client: KubeClient;
  readonly events: Events;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<OperatorMetrics, "hasStatus">;
  /** Whether this replica leads. */
  readonly mayWrite: () => boolean;
}

export type WriteOutcome =
  | { readonly done: "same" | "written"; readonly status: ComponentStatus }
  /**
   * To be asked again, in milliseconds: too soon after the last write, the cache may not have that yet, sidecars may not
   * have come back yet, or the resource has no status by now.
   */
  | { readonly done: "later"; readonly waitMs: number; readonly status: ComponentStatus };

/** What this replica last said of one Component. */
interface Said {
  readonly uid: string;
  readonly status: ComponentStatus;
  /** Of the object as it came out of the write; null when nothing could be written. */
  readonly resourceVersion: string | null;
  /** Monotonic. */
  readonly atMs: number;
}

export class StatusWriter {
  readonly #context: StatusWriterContext;
  readonly #said = new Map<ObjectKey, Said>();
  /** Until when no write is tried; monotonic. */
  #noStatusUntilMs = Number.NEGATIVE_INFINITY;
  #isNoStatusLogged = false;
  /** Until when a missing sidecar does not count as gone; monotonic. */
  #hearingUntilMs = Number.NEGATIVE_INFINITY;

  constructor(context: StatusWriterContext) {
    this.#context = context;
  }

  /** This replica begins to lead: sidecars that reported to the one before have still to report here. */
  beginToHear(): void {
    this.#hearingUntilMs = this.#context.clock.monotonicMs() + HEARING_MS;
  }

  /** Rejects with a KubeError when the write fails; then nothing is announced. */
  async write(object: ResourceObject, known: Known): Promise<WriteOutcome> {
    const { clock, mayWrite } = this.#context;
    const key = keyOf(object);
    const previous = this.#shown(key, object);
    const status = statusOf(known, previous, clock.nowMs());
    // What sidecars say to this replica alone is not all that they say.
    if (!mayWrite()) return { done: "same", status: shownStatus(object.status) ?? status };
    if (!this.#isDue(key, previous, status)) {
      const lagMs = this.#lagMs(this.#said.get(key), object);
      return lagMs > 0 ? { done: "later", waitMs: lagMs, status } : { done: "same", status };
    }
    const hearingMs = this.#hearingMs(key);
    if (hearingMs > 0 && previous !== null && onlyLacksSidecars(previous, status))
      return { done: "later", waitMs: hearingMs, status: previous };
    const waitMs = this.#waitMs(key);
    if (waitMs > 0) return { done: "later", waitMs, status };
    const isBarred = clock.monotonicMs() < this.#noStatusUntilMs;
    const resourceVersion = isBarred ? null : await this.#apply(object, status);
    if (resourceVersion === "gone") return { done: "same", status };
    this.#said.set(key, { uid: object.metadata.uid, status, resourceVersion, atMs: clock.monotonicMs() });
    const about = { ...object, apiVersion: API_VERSION, kind: "Component" };
    for (const each of announcementsOf(previous, status)) this.#context.events.tell({ about, ...each });
    if (resourceVersion !== null) return { done: "written", status };
    return { done: "later", waitMs: this.#noStatusUntilMs - clock.monotonicMs(), status };
  }

  /** Takes the status off a Component that is not ours any more: its type is another building block's now. */
  async clear(object: ResourceObject): Promise<void> {
    if (!this.#context.mayWrite() || shownStatus(object.status) === null) return;
    // An apply without fields gives up those that this manager had set.
    await this.#apply(object, {});
  }

  forget(key: ObjectKey): void {
    this.#said.delete(key);
  }

  /** Also what could only be told by Events is due, once it may be tried again. */
  #isDue(key: ObjectKey, previous: ComponentStatus | null, status: ComponentStatus): boolean {
    if (JSON.stringify(previous) !== JSON.stringify(status)) return true;
    const isUnwritten = this.#said.get(key)?.resourceVersion === null;
    return isUnwritten && this.#context.clock.monotonicMs() >= this.#noStatusUntilMs;
  }

  /** 0 for a Component of which this replica has said something since it leads: it lacks those that it had heard. */
  #hearingMs(key: ObjectKey): number {
    const hasSaid = (this.#said.get(key)?.atMs ?? Number.NEGATIVE_INFINITY) >= this.#hearingUntilMs - HEARING_MS;
    return hasSaid ? 0 : this.#hearingUntilMs - this.#context.clock.monotonicMs();
  }

  #waitMs(key: ObjectKey): number {
    const lastMs = this.#said.get(key)?.atMs ?? Number.NEGATIVE_INFINITY;
    return lastMs + WRITE_INTERVAL_MS - this.#context.clock.monotonicMs();
  }

  /** What the cluster shows: the cache's word, unless a write of our own is newer or could not be made. */
  #shown(key: ObjectKey, object: ResourceObject): ComponentStatus | null {
    const said = this.#said.get(key);
    const shown = shownStatus(object.status);
    if (said?.uid !== object.metadata.uid) return shown;
    if (said.resourceVersion === null) return shown ?? said.status;
    return this.#lagMs(said, object) > 0 ? said.status : shown;
  }

  /** How much longer the object in the cache may be the one from before our last write, in milliseconds; 0 when it is not. */
  #lagMs(said: Said | undefined, { metadata }: ResourceObject): number {
    if (said === undefined || said.uid !== metadata.uid || said.resourceVersion === null) return 0;
    if (said.resourceVersion === metadata.resourceVersion) return 0;
    return Math.max(0, said.atMs + CACHE_LAG_MAX_MS - this.#context.clock.monotonicMs());
  }

  /** Gives the new resource version; null where the resource has no status, "gone" when the object is another by now. */
  async #apply(object: ResourceObject, status: ComponentStatus | Record<string, never>): Promise<string | null> {
    const { name, namespace = "", uid, resourceVersion } = object.metadata;
    try {
      const { object: written } = await apply(this.#context.client, {
        // With the uid: an object that has taken the name over is not given the status of its forerunner.
        object: { apiVersion: API_VERSION, kind: "Component", metadata: { name, namespace, uid }, status },
        plural: "components",
        subresource: "status",
        fieldManager: STATUS_MANAGER,
        seenVersion: resourceVersion,
      });
      this.#isNoStatusLogged = false;
      this.#context.metrics.hasStatus(true);
      return written.metadata.resourceVersion;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      if (error.status === 409) return "gone";
      if (error.status !== 404) throw error;
      const path = pathOf({ apiVersion: API_VERSION, plural: "components", namespace, name });
      return (await this.#isThere(path, uid)) ? this.#noteNoStatus() : "gone";
    }
  }

  /** Tells a resource without status from an object that is gone: the write is a 404 for both. */
  async #isThere(path: string, uid: string): Promise<boolean> {
    try {
      return (await this.#context.client.request<ResourceObject>({ method: "GET", path })).metadata.uid === uid;
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return false;
      throw error;
    }
  }

  #noteNoStatus(): null {
    const { clock, log, metrics } = this.#context;
    metrics.hasStatus(false);
    this.#noStatusUntilMs = clock.monotonicMs() + NO_STATUS_RETRY_MS;
    if (this.#isNoStatusLogged) return null;
    this.#isNoStatusLogged = true;
    log.warn("Components have no status in this cluster: another CRD of that name is in place, Dapr's most likely", {
      effect: "Components are served; what is wrong with them is told by Events and metrics only",
      hint: "install Pannier's CRDs (crds.install=true); they take all that Dapr's take",
    });
    return null;
  }
}

/** Fewer sidecars than before, and no news but that: none of a trouble, of the manifest or of its secrets. */
function onlyLacksSidecars(before: ComponentStatus, now: ComponentStatus): boolean {
  const isTroubled = isFalse(now, "Ready") && !isFalse(before, "Ready");
  return sidecarsOf(now) < sidecarsOf(before) && !isTroubled && causesOf(now) === causesOf(before);
}

function isFalse({ conditions }: ComponentStatus, wanted: ConditionType): boolean {
  return conditions.some(({ type, status }) => type === wanted && status === "False");
}

function sidecarsOf({ apps }: ComponentStatus): number {
  return apps.reduce((sum, { total }) => sum + total, 0);
}

/** All that no sidecar says, in a form that compares. */
function causesOf({ observedGeneration, conditions }: ComponentStatus): string {
  const causes = conditions.filter(({ type }) => type === "MetadataValid" || type === "SecretsResolved");
  return JSON.stringify([observedGeneration, causes.map(({ status, reason, message }) => [status, reason, message])]);
}
