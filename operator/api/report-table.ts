// What sidecars last said about their Components, by pod. Whoever writes status reads it here. Knows no connection.
import type { ReportedComponent } from "#crds/distribution.ts";

/** One sidecar's report, with what the operator itself knows of who sent it. */
export interface PodReport {
  readonly namespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly appId: string;
  readonly components: readonly ReportedComponent[];
}

/** What one sidecar says of one Component. */
export interface ComponentReport extends ReportedComponent {
  readonly appId: string;
  readonly podName: string;
  readonly podUid: string;
}

/** Where a report came in: at this replica, or at the one of that name. */
export type ReportSource = string;
export const HERE: ReportSource = "";

/** Told a Component of which a report changed, came or went. */
export type ReportListener = (namespace: string, component: string) => void;

export class ReportTable {
  readonly #byPod = new Map<string, PodReport>();
  /** By pod: who told last. A pod that moved to another replica is forgotten by that one only. */
  readonly #sources = new Map<string, ReportSource>();
  /** By namespace and Component: the pods that report on it. */
  readonly #pods = new Map<string, Set<string>>();
  readonly #listeners = new Set<ReportListener>();

  put(report: PodReport, source: ReportSource = HERE): void {
    const before = this.#byPod.get(report.podUid);
    this.#byPod.set(report.podUid, report);
    this.#sources.set(report.podUid, source);
    this.#follow(report, before);
  }

  /** The pod's stream has ended, or the pod is gone. Nothing when another replica has told of it since. */
  remove(podUid: string, source: ReportSource = HERE): void {
    const before = this.#byPod.get(podUid);
    if (before === undefined || this.#sources.get(podUid) !== source) return;
    this.#byPod.delete(podUid);
    this.#sources.delete(podUid);
    this.#follow({ ...before, components: [] }, before);
  }

  /** Who told last of the pod; undefined when nobody did. */
  sourceOf(podUid: string): ReportSource | undefined {
    return this.#sources.get(podUid);
  }

  /** Of all pods that report on it, in no order. */
  of(namespace: string, component: string): readonly ComponentReport[] {
    const reports: ComponentReport[] = [];
    for (const uid of this.#pods.get(`${namespace}/${component}`) ?? []) {
      const report = this.#byPod.get(uid);
      const found = report?.components.find(({ name }) => name === component);
      if (report === undefined || found === undefined) continue;
      const { appId, podName, podUid } = report;
      reports.push({ ...found, appId, podName, podUid });
    }
    return reports;
  }

  all(): Iterable<PodReport> {
    return this.#byPod.values();
  }

  /** Gives the end of it. */
  onChange(listener: ReportListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #follow(now: PodReport, before: PodReport | undefined): void {
    const { namespace, podUid } = now;
    const earlier = new Map(before?.components.map((each) => [each.name, each]));
    const later = new Map(now.components.map((each) => [each.name, each]));
    for (const name of new Set([...earlier.keys(), ...later.keys()])) {
      const [from, to] = [earlier.get(name), later.get(name)];
      if (JSON.stringify(from) === JSON.stringify(to)) continue;
      const key = `${namespace}/${name}`;
      const pods = this.#pods.get(key) ?? new Set();
      if (to === undefined) pods.delete(podUid);
      else pods.add(podUid);
      if (pods.size === 0) this.#pods.delete(key);
      else this.#pods.set(key, pods);
      for (const listener of this.#listeners) listener(namespace, name);
    }
  }
}
