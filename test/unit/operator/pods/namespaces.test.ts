import assert from "node:assert/strict";
import type { KubeObject } from "#operator/kube/object.ts";
import type { ObjectCache } from "#operator/kube/object-cache.ts";
import { SidecarNamespaces } from "#operator/pods/namespaces.ts";
import { podCache, podOf } from "./pods.ts";

const OURS = { "dapr.io/enabled": "true", "pannier.io/injected-by": "1.0.0" };

describe("namespaces with sidecars", () => {
  let pods: ObjectCache<KubeObject>;
  let namespaces: SidecarNamespaces;
  let changes: number;

  beforeEach(() => {
    pods = podCache();
    pods.put(podOf("early", { namespace: "first", annotations: OURS }));
    namespaces = new SidecarNamespaces(pods);
    changes = 0;
    namespaces.onChange(() => changes++);
  });
  afterEach(() => namespaces.close());

  const current = () => [...namespaces.current()].sort();

  it("are those with a pod that we injected, from the start on", () => {
    assert.deepEqual(current(), ["first"]);
    pods.put(podOf("a", { annotations: OURS }));
    assert.deepEqual(current(), ["first", "shop"]);
  });

  it("are not those with pods of another injector only", () => {
    pods.put(podOf("a", { labels: { "dapr.io/sidecar-injected": "true" } }));
    assert.deepEqual(current(), ["first"]);
    assert.equal(changes, 0);
  });

  it("leave with their last pod, and tell each change of the set once", () => {
    pods.put(podOf("a", { annotations: OURS }));
    pods.put(podOf("b", { annotations: OURS }));
    pods.put(podOf("a", { annotations: OURS, version: "2" }));
    pods.remove("shop/a");
    assert.deepEqual([current(), changes], [["first", "shop"], 1]);
    pods.remove("shop/b");
    assert.deepEqual([current(), changes], [["first"], 2]);
  });
});
