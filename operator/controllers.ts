// The controllers over what is watched: Components to sidecars and status, the other resources to sidecars, pods without
// a sidecar. Puts them together; each decides for itself.
import { PREFIXES } from "#crds/annotations.ts";
import { ReportTable } from "./api/report-table.ts";
import { ComponentController } from "./components/controller.ts";
import { secretFollower } from "./components/follow-secret.ts";
import { followOtherResources } from "./components/other-resources.ts";
import { ResourceTable } from "./components/resource-table.ts";
import { SecretWatch } from "./components/secret-watch.ts";
import { StatusWriter } from "./components/status-writer.ts";
import type { OperatorFlags } from "./flags.ts";
import { judge } from "./judge.ts";
import type { KubeContext } from "./kube/context.ts";
import type { Events } from "./kube/events.ts";
import { WorkQueue } from "./kube/queue.ts";
import type { Leadership } from "./leadership.ts";
import { UnsidecaredPods } from "./pods/unsidecared.ts";
import type { Watches } from "./watches.ts";

export interface ControllersOptions {
  readonly kube: KubeContext;
  readonly flags: Readonly<OperatorFlags>;
  readonly events: Events;
  readonly leadership: Leadership;
  readonly watches: Watches;
}

export interface Controllers {
  /** What sidecars may have. */
  readonly table: ResourceTable;
  /** What they report. */
  readonly reports: ReportTable;
  /** Every Component of the first list is in the table. */
  readonly synced: boolean;
  close(): Promise<void>;
}

export function startControllers({ kube, flags, events, leadership, watches }: ControllersOptions): Controllers {
  const { client, clock, random, log, metrics } = kube;
  const mayWrite = (): boolean => leadership.isLeader;
  const [table, reports] = [new ResourceTable(), new ReportTable()];
  const secrets = new SecretWatch({ client, clock, random, follow: secretFollower(kube) });
  const controller = new ComponentController({
    components: watches.components,
    reports,
    table,
    secrets,
    status: new StatusWriter({ client, events, clock, log, metrics, mayWrite }),
    judge,
    installation: {
      release: flags.release,
      chart: flags.chart,
      namespace: flags.namespace,
      serviceAccount: flags["service-account"],
      secretNamespaces: flags["secret-namespaces"],
    },
    clock,
    metrics,
  });
  const queue = new WorkQueue({ name: "component", worker: controller.reconcile, clock, random, log, metrics });
  const endController = controller.follow(queue);
  const others = followOtherResources({ ...watches, table, events, mayWrite });
  const prefixes = flags["dapr-annotation"] ? PREFIXES : ["pannier.io/"];
  const unsidecared = new UnsidecaredPods({
    prefixes,
    pods: watches.pods,
    client,
    events,
    metrics,
    clock,
    log,
    mayWrite,
  });
  const endLeading = leadership.onChange(() => {
    if (!leadership.isLeader) return;
    controller.addAll();
    others.tellAll();
  });
  return {
    table,
    reports,
    get synced() {
      return controller.synced;
    },
    close: async () => {
      for (const end of [endLeading, endController, others.end]) end();
      unsidecared.close();
      secrets.close();
      await queue.close();
    },
  };
}
