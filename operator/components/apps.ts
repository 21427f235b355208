// What the sidecars of each app say of one Component, counted. Pure.
import type { ComponentReport } from "../api/report-table.ts";
import { APPS_MAX, type AppStatus, cut } from "./status.ts";

/** Opened in this generation, and not cut off from its store. */
export function isReady(report: ComponentReport, generation: number): boolean {
  return report.state === "ready" && report.generation >= generation && report.reachable !== false;
}

/** An order that stays the same from one look to the next, so that a message changes only when there is news. */
export function byAppAndPod(left: ComponentReport, right: ComponentReport): number {
  return compare(left.appId, right.appId) || compare(left.podName, right.podName);
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** What the apps of a status are about, and what they were before. */
export interface AppsContext {
  readonly generation: number;
  readonly previous: readonly AppStatus[];
  /** RFC 3339. */
  readonly now: string;
}

/** `reports` in the order of {@link byAppAndPod}. By app id; of more than {@link APPS_MAX} those that are not ready. */
export function appsOf(reports: readonly ComponentReport[], context: AppsContext): readonly AppStatus[] {
  const before = new Map(context.previous.map((app) => [app.appId, app]));
  const byApp = Map.groupBy(reports, ({ appId }) => appId);
  const apps = [...byApp].map(([appId, own]) => appOf(own, before.get(appId), { ...context, appId }));
  if (apps.length <= APPS_MAX) return apps;
  const troubled = apps.filter((app) => !isWell(app));
  const well = apps.filter(isWell);
  return [...troubled, ...well].slice(0, APPS_MAX).sort((left, right) => compare(left.appId, right.appId));
}

function appOf(
  reports: readonly ComponentReport[],
  before: AppStatus | undefined,
  { appId, generation, now }: AppsContext & { readonly appId: string },
): AppStatus {
  const waiting = reports.filter((report) => !isReady(report, generation));
  const [first] = waiting;
  const counts = { appId, ready: reports.length - waiting.length, total: reports.length };
  const isSame = before !== undefined && isWell(before) === isWell(counts);
  const lastTransitionTime = isSame ? before.lastTransitionTime : now;
  if (first === undefined) return { ...counts, lastTransitionTime };
  const why = first.message ?? `not on generation ${generation} yet`;
  return { ...counts, message: cut(`pod ${first.podName}: ${why}`), lastTransitionTime };
}

function isWell({ ready, total }: Pick<AppStatus, "ready" | "total">): boolean {
  return ready === total;
}
