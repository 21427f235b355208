// Pods without a sidecar and namespaces with one, as a real API server gives them by their metadata.
import assert from "node:assert/strict";
import { INJECTED_BY } from "#crds/annotations.ts";
import { EventRecorder } from "#operator/kube/event-recorder.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { Reflector } from "#operator/kube/reflector.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { SidecarNamespaces } from "#operator/pods/namespaces.ts";
import { GRACE_MS, UnsidecaredPods } from "#operator/pods/unsidecared.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { fastClock, kubeContext, type TestContext } from "../cluster/kube-context.ts";
import { operatorUser, until } from "./component-operator.ts";

const USER = "pannier-pods";
const ENABLED = { "dapr.io/enabled": "true" };
/** So that the grace and a round pass in a second. */
const SPEED = 30;

describeWithBed("pods on a cluster", () => {
  let bed: Bed;
  let context: TestContext;
  let namespace: string;
  let pods: Reflector<KubeObject>;
  let events: EventRecorder;

  beforeEach(async function () {
    this.timeout(300_000);
    bed = await sharedBed();
    namespace = await bed.namespace();
    context = kubeContext(await operatorUser(bed, USER));
    pods = new Reflector(context, {
      ...{ apiVersion: "v1", plural: "pods", namespaces: [namespace], metadataOnly: true },
      trim: ({ metadata }) => ({ metadata }),
    });
    pods.start();
    events = new EventRecorder(context, { controller: "pannier-operator", instance: "operator-0" });
  });
  afterEach(async () => {
    await Promise.all([pods.close(), events.close()]);
    context.client.close();
  });

  interface Shape {
    readonly annotations?: object;
    readonly labels?: object;
    readonly containers?: readonly string[];
  }
  const create = (name: string, { annotations = ENABLED, labels = {}, containers = ["app"] }: Shape) => {
    const spec = { containers: containers.map((each) => ({ name: each, image: "none" })) };
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, annotations, labels }, spec };
    return bed.kubectl(["-n", namespace, "create", "-f", "-"], JSON.stringify(pod));
  };
  const told = async (): Promise<readonly string[]> => {
    const { items } = JSON.parse(await bed.kubectl(["-n", namespace, "get", "events.events.k8s.io", "-o", "json"]));
    return items.map((event: { regarding: { name: string; kind: string }; reason: string; type: string }) =>
      [event.regarding.kind, event.regarding.name, event.type, event.reason].join(" "),
    );
  };

  it("that ask for a sidecar and have none get an Event, are counted, and are left as they are", async () => {
    const counts: number[] = [];
    const fast = fastClock(SPEED);
    const unsidecared = new UnsidecaredPods({
      pods: pods.cache,
      prefixes: ["dapr.io/", "pannier.io/"],
      client: context.client,
      events,
      metrics: { ...noOperatorMetrics, unsidecared: (now) => void counts.push(now) },
      clock: { ...fast, nowMs: () => fast.nowMs() + GRACE_MS },
      log: context.log,
      mayWrite: () => true,
    });
    try {
      await create("missed", {});
      await create("plain", { annotations: {} });
      await create("injected", { labels: { "dapr.io/sidecar-injected": "true" } });
      await create("own", { containers: ["app", "daprd"] });
      await until(async () => (await told()).length > 0, "an Event tells of it");
      await until(() => counts.at(-1) === 1, "one is counted");
      assert.deepEqual(await told(), ["Pod missed Warning SidecarMissing"]);
      const names = await bed.kubectl(["-n", namespace, "get", "pods", "-o", "jsonpath={.items[*].metadata.name}"]);
      assert.deepEqual(names.split(" ").sort(), ["injected", "missed", "own", "plain"]);
      await bed.kubectl(["-n", namespace, "delete", "pod", "missed", "--grace-period=0", "--force"]);
      await until(() => counts.at(-1) === 0, "it is no longer counted");
    } finally {
      unsidecared.close();
    }
  }).timeout(120_000);

  it("that we injected put their namespace among those with sidecars, until the last is gone", async () => {
    const namespaces = new SidecarNamespaces(pods.cache);
    try {
      await create("dapr", { labels: { "dapr.io/sidecar-injected": "true" } });
      await until(() => pods.cache.get(`${namespace}/dapr`) !== undefined, "the pod is seen");
      assert.deepEqual([...namespaces.current()], []);
      await create("ours", { annotations: { ...ENABLED, [INJECTED_BY]: "1.0.0" } });
      await until(() => namespaces.current().has(namespace), "the namespace joins");
      await bed.kubectl(["-n", namespace, "delete", "pod", "ours", "--grace-period=0", "--force"]);
      await until(() => !namespaces.current().has(namespace), "the namespace leaves");
    } finally {
      namespaces.close();
    }
  }).timeout(120_000);
});
