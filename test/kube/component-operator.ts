// The part of the operator that looks after Components, on a real API server, with the rights that the chart gives it and
// no more. Reports come from the test in the place of sidecars.
import { setTimeout as pause } from "node:timers/promises";
import type { ReportedComponent } from "#crds/distribution.ts";
import type { Clock } from "#kit/clock.ts";
import { ReportTable } from "#operator/api/report-table.ts";
import { ComponentController } from "#operator/components/controller.ts";
import { secretFollower } from "#operator/components/follow-secret.ts";
import type { ResourceObject } from "#operator/components/manifest.ts";
import { ResourceTable } from "#operator/components/resource-table.ts";
import { SecretWatch } from "#operator/components/secret-watch.ts";
import { StatusWriter } from "#operator/components/status-writer.ts";
import { judge } from "#operator/judge.ts";
import { EventRecorder } from "#operator/kube/event-recorder.ts";
import { WorkQueue } from "#operator/kube/queue.ts";
import { Reflector } from "#operator/kube/reflector.ts";
import type { Bed } from "../cluster/bed.ts";
import { kubeContext, type TestContext } from "../cluster/kube-context.ts";

/** Longest wait for something that comes by itself, in milliseconds. */
const WITHIN_MS = 60_000;
const POLL_MS = 100;

export interface Options {
  readonly kubeconfig: string;
  readonly namespaces: readonly string[];
  /** Of this replica; "operator-0" by default. */
  readonly name?: string;
  readonly mayWrite?: () => boolean;
  /** For what waits before it writes a status; the context's by default. */
  readonly statusClock?: Clock;
}

export interface ComponentOperator {
  readonly context: TestContext;
  readonly controller: ComponentController;
  readonly reports: ReportTable;
  readonly table: ResourceTable;
  close(): Promise<void>;
}

export async function startComponentOperator(options: Options): Promise<ComponentOperator> {
  const { kubeconfig, namespaces, name = "operator-0", mayWrite = () => true } = options;
  const context = kubeContext(kubeconfig);
  const { client, clock, random, log, metrics } = context;
  const components = new Reflector<ResourceObject>(context, {
    apiVersion: "dapr.io/v1alpha1",
    plural: "components",
    namespaces,
    trim: ({ metadata, spec, auth, scopes, status }) => ({ metadata, spec, auth, scopes, status }),
  });
  const events = new EventRecorder(context, { controller: "pannier-operator", instance: name });
  const [reports, table] = [new ReportTable(), new ResourceTable()];
  const secrets = new SecretWatch({ client, clock, random, follow: secretFollower(context) });
  const status = new StatusWriter({ client, events, clock: options.statusClock ?? clock, log, metrics, mayWrite });
  const installation = {
    release: "pannier",
    chart: "charts/pannier",
    namespace: "pannier-system",
    serviceAccount: "pannier-operator",
    secretNamespaces: [],
  };
  const controller = new ComponentController({
    ...{ components: components.cache, reports, table, secrets, status, judge, installation, clock, metrics },
  });
  const queue = new WorkQueue({ name: "component", worker: controller.reconcile, clock, random, log, metrics });
  components.start();
  const end = controller.follow(queue);
  await until(() => controller.synced, "the controller has taken in what there is");
  return {
    ...{ context, controller, reports, table },
    close: async () => {
      end();
      secrets.close();
      await Promise.all([queue.close(), components.close()]);
      await events.close();
      client.close();
    },
  };
}

/** Who may do what the chart lets the operator do, Secrets apart: path of a kubeconfig. */
export async function operatorUser(bed: Bed, user: string): Promise<string> {
  const rule = (apiGroups: string[], resources: string[], verbs: string[]) => ({ apiGroups, resources, verbs });
  const rules = [
    rule(["dapr.io"], ["components", "resiliencies", "configurations"], ["get", "list", "watch"]),
    rule(["dapr.io"], ["components/status"], ["patch"]),
    rule([""], ["pods"], ["get", "list", "watch"]),
    rule(["events.k8s.io"], ["events"], ["create", "patch"]),
  ];
  const kind = "ClusterRole";
  const subjects = [{ kind: "User", name: user, apiGroup: "rbac.authorization.k8s.io" }];
  const roleRef = { kind, name: user, apiGroup: "rbac.authorization.k8s.io" };
  const apiVersion = "rbac.authorization.k8s.io/v1";
  for (const object of [
    { apiVersion, kind, metadata: { name: user }, rules },
    { apiVersion, kind: "ClusterRoleBinding", metadata: { name: user }, subjects, roleRef },
  ]) {
    await bed.kubectl(["apply", "-f", "-"], JSON.stringify(object));
  }
  return bed.kubeconfigFor(user);
}

/** What the chart does for each name of `secrets.namespaces`. */
export async function grantSecrets(bed: Bed, namespace: string, user: string): Promise<void> {
  const role = ["create", "role", "pannier-secrets", "--verb=get,list,watch", "--resource=secrets"];
  await bed.kubectl(["-n", namespace, ...role]);
  const binding = ["create", "rolebinding", "pannier-secrets", "--role=pannier-secrets", `--user=${user}`];
  await bed.kubectl(["-n", namespace, ...binding]);
}

export interface ManifestShape {
  readonly name: string;
  readonly namespace: string;
  readonly type?: string;
  readonly metadata?: readonly object[];
}

export function manifest({ name, namespace, type = "state.in-memory", metadata = [] }: ManifestShape): string {
  return JSON.stringify({
    apiVersion: "dapr.io/v1alpha1",
    kind: "Component",
    metadata: { name, namespace },
    spec: { type, version: "v1", metadata },
  });
}

export async function setSecret(bed: Bed, namespace: string, name: string, data: object): Promise<void> {
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, stringData: data };
  await bed.kubectl(["apply", "-f", "-"], JSON.stringify(secret));
}

/** A sidecar of app "app" in pod "app-1" that says this of the Component as it is now. */
export async function report(
  bed: Bed,
  { reports }: Pick<ComponentOperator, "reports">,
  { namespace, name, ...differing }: { namespace: string; name: string } & Partial<ReportedComponent>,
): Promise<void> {
  const { metadata } = JSON.parse(await bed.kubectl(["-n", namespace, "get", "components", name, "-o", "json"]));
  const { uid, generation } = metadata;
  const component = { name, uid, generation, state: "ready", reachable: true, message: null, ...differing } as const;
  reports.put({ namespace, podName: "app-1", podUid: `${namespace}-1`, appId: "app", components: [component] });
}

/** Waits until `isSo`; fails with `what` and what was seen last. */
export async function until(
  isSo: () => boolean | string | Promise<boolean | string>,
  what: string,
  withinMs: number = WITHIN_MS,
): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    const seen = await isSo();
    if (seen === true) return;
    if (Date.now() > end)
      throw new Error(`not within ${withinMs} ms: ${what}${seen === false ? "" : `; seen: ${seen}`}`);
    await pause(POLL_MS);
  }
}

/** Waits until `kubectl get components` shows this of one, in its columns Ready and Reason. */
export function untilShown(bed: Bed, namespace: string, name: string, wanted: string): Promise<void> {
  return until(async () => {
    const row = await bed.kubectl(["-n", namespace, "get", "components", name, "--no-headers"]);
    const [, , , ready = "", reason = ""] = row.trim().split(/\s+/);
    return `${ready} ${reason}` === wanted || row.trim();
  }, `component ${name} is ${wanted}`);
}
