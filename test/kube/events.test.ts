// Events and server-side apply as a real API server takes them.
import assert from "node:assert/strict";
import { apply } from "#operator/kube/apply.ts";
import { KubeError } from "#operator/kube/client.ts";
import { EventRecorder } from "#operator/kube/event-recorder.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { kubeContext, type TestContext } from "../cluster/kube-context.ts";

describeWithBed("what the operator writes on an API server", () => {
  let bed: Bed;
  let namespace: string;
  let context: TestContext;

  before(async () => {
    bed = await sharedBed();
  });

  beforeEach(async () => {
    namespace = await bed.namespace();
    // Half a minute, on a busy machine, for what the recorder writes as it is closed.
    context = kubeContext(bed.kubeconfig, { speed: 1 / 15 });
  });

  afterEach(() => context.client.close());

  function configMap(data: Readonly<Record<string, string>>): Parameters<typeof apply>[1]["object"] {
    return { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "orders", namespace }, data };
  }

  it("writes Events that kubectl shows with the object, repetitions in one", async () => {
    const wanted = { object: configMap({}), plural: "configmaps", fieldManager: "test", seenVersion: null };
    const { object } = await apply(context.client, wanted);
    const about = { apiVersion: "v1", kind: "ConfigMap", metadata: object.metadata };
    const events = new EventRecorder(context, { controller: "pannier-operator", instance: "pod-1" });
    const told = { about, type: "Warning", reason: "NotReady", action: "Reconcile" } as const;
    events.tell({ ...told, note: `the store is away: ${"ü".repeat(2_000)}` });
    while ((await listed()).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    for (let turn = 0; turn < 3; turn++) events.tell({ ...told, note: `the store is away: ${"ü".repeat(2_000)}` });
    await events.close();
    assert.deepEqual([events.dropped, context.lines], [0, []]);
    const all = await listed();
    assert.deepEqual(
      all.map(({ series, regarding }) => [Object(series).count, Object(regarding).uid]),
      [[4, object.metadata.uid]],
    );
    assert.match(await bed.kubectl(["-n", namespace, "describe", "configmap", "orders"]), /Warning +NotReady/);
  });

  async function listed(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return JSON.parse(await bed.kubectl(["-n", namespace, "get", "events.v1.events.k8s.io", "-o", "json"])).items;
  }

  it("applies the fields that it names, leaves those of others, and says whether anything changed", async () => {
    const mine = (data: Readonly<Record<string, string>>, seenVersion: string | null) =>
      apply(context.client, { object: configMap(data), plural: "configmaps", fieldManager: "test", seenVersion });
    const first = await mine({ mine: "1", old: "1" }, null);
    assert.equal(first.changed, true);
    await bed.kubectl(["-n", namespace, "patch", "configmap", "orders", "-p", '{"data":{"theirs":"1","mine":"2"}}']);
    const second = await mine({ mine: "1" }, first.object.metadata.resourceVersion);
    assert.equal(second.changed, true);
    assert.deepEqual((second.object as KubeObject & { data: unknown }).data, { mine: "1", theirs: "1" });
    const third = await mine({ mine: "1" }, second.object.metadata.resourceVersion);
    assert.equal(third.changed, false);
  });

  it("makes nothing by way of a status, and nothing in place of an object that is gone", async () => {
    const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "none", namespace }, status: { message: "x" } };
    const status = {
      object: pod,
      plural: "pods",
      fieldManager: "test",
      subresource: "status",
      seenVersion: null,
    } as const;
    await assert.rejects(apply(context.client, status), (error) => error instanceof KubeError && error.status === 404);
    const uid = "00000000-0000-4000-8000-000000000000";
    const object = { ...configMap({}), metadata: { name: "orders", namespace, uid } };
    const gone = { object, plural: "configmaps", fieldManager: "test", seenVersion: null };
    await assert.rejects(apply(context.client, gone), (error) => error instanceof KubeError && error.status === 409);
  });
});
