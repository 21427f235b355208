// What the sidecars connected to this replica said last, for as long as they are connected and a little longer.
// Knows no connection: the streams say who comes and goes.
import type { ReportedComponent } from "#crds/distribution.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import type { PodReport, ReportTable } from "./report-table.ts";
import type { Sidecar } from "./sidecar.ts";

/** A report counts for so long after its pod's last stream ended, in milliseconds: a reconnect is no news. */
export const KEPT_MS = 60_000;

/** A pod's report and whether its stream is open here. */
export interface LocalReport {
  readonly report: PodReport;
  readonly isConnected: boolean;
}

interface Presence {
  streams: number;
  forgetting: Timer | null;
  report: PodReport | null;
}

export class SidecarReports {
  readonly #table: ReportTable;
  readonly #clock: Clock;
  /** By the pod's UID. */
  readonly #pods = new Map<string, Presence>();
  readonly #listeners = new Set<(podUid: string) => void>();

  constructor(table: ReportTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** A stream of the pod begins. */
  connected({ podUid }: Sidecar): void {
    const presence = this.#pods.get(podUid) ?? { streams: 0, forgetting: null, report: null };
    this.#pods.set(podUid, presence);
    presence.forgetting?.cancel();
    presence.forgetting = null;
    presence.streams++;
    if (presence.streams === 1 && presence.report !== null) this.#tell(podUid);
  }

  /** A stream of the pod has ended. */
  disconnected({ podUid }: Sidecar): void {
    const presence = this.#pods.get(podUid);
    if (presence === undefined || --presence.streams > 0) return;
    presence.forgetting = this.#clock.after(KEPT_MS, () => this.gone(podUid));
    if (presence.report !== null) this.#tell(podUid);
  }

  /** The pod is no more, or has been away for too long. */
  gone(podUid: string): void {
    const presence = this.#pods.get(podUid);
    if (presence === undefined) return;
    presence.forgetting?.cancel();
    this.#pods.delete(podUid);
    if (presence.report === null) return;
    this.#table.remove(podUid);
    this.#tell(podUid);
  }

  /** Replaces what the sidecar said. Nothing when it has no stream here. */
  put({ namespace, podName, podUid, appId }: Sidecar, components: readonly ReportedComponent[]): void {
    const presence = this.#pods.get(podUid);
    if (presence === undefined) return;
    presence.report = { namespace, podName, podUid, appId, components };
    this.#table.put(presence.report);
    this.#tell(podUid);
  }

  /** Undefined for a pod of which nothing is known here. */
  of(podUid: string): LocalReport | undefined {
    const presence = this.#pods.get(podUid);
    if (presence === undefined || presence.report === null) return undefined;
    return { report: presence.report, isConnected: presence.streams > 0 };
  }

  *all(): Iterable<LocalReport> {
    for (const podUid of this.#pods.keys()) {
      const local = this.of(podUid);
      if (local !== undefined) yield local;
    }
  }

  /** Told a pod whose report changed, came, went, or is no longer of a connected sidecar. Gives the end of it. */
  onChange(listener: (podUid: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Forgets nothing of the table, and waits for nothing any more. */
  close(): void {
    for (const { forgetting } of this.#pods.values()) forgetting?.cancel();
    this.#pods.clear();
  }

  #tell(podUid: string): void {
    for (const listener of this.#listeners) listener(podUid);
  }
}
