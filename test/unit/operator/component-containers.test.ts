import assert from "node:assert/strict";
import { COMPONENT_CONTAINER } from "#crds/annotations.ts";
import { boundedContainer, CONTAINER_KEPT_MAX, containersIn } from "#operator/component-containers.ts";
import type { ResourceObject } from "#operator/components/manifest.ts";
import { CONTAINER_CHARS_MAX } from "#operator/inject/pluggable.ts";
import { ObjectCache } from "#operator/kube/object-cache.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";
import { silentLog } from "./components/silent-log.ts";

const CONTAINER = '{"image": "x"}';

function component(name: string, more: Partial<ResourceObject> = {}, namespace = "shop"): ResourceObject {
  const annotations = { [COMPONENT_CONTAINER]: CONTAINER };
  return { metadata: { name, namespace, uid: name, resourceVersion: "1", annotations }, ...more };
}

function cacheOf(objects: readonly ResourceObject[], synced = true): ObjectCache<ResourceObject> {
  const cache = new ObjectCache<ResourceObject>({
    resource: "components",
    parts: [""],
    log: silentLog,
    metrics: noOperatorMetrics,
  });
  for (const object of objects) cache.put(object);
  if (synced) cache.replace("", objects);
  return cache;
}

describe("the containers of Components", () => {
  it("are those of one namespace, with their scopes", () => {
    const { annotations: _, ...metadata } = component("plain").metadata;
    const objects = [
      component("a", { scopes: ["orders", 7] }),
      component("b"),
      { metadata },
      component("c", {}, "bank"),
    ];
    assert.deepEqual(containersIn(cacheOf(objects), "shop"), [
      { component: "a", scopes: ["orders"], text: CONTAINER },
      { component: "b", scopes: [], text: CONTAINER },
    ]);
  });

  it("are not known before all Components were listed", () => {
    assert.equal(containersIn(cacheOf([component("a")], false), "shop"), null);
  });

  it("are not those of a Component that is too large, of which no scopes are kept", () => {
    assert.deepEqual(containersIn(cacheOf([component("a", { oversizedBytes: 300_000 })]), "shop"), []);
  });

  it("are the one annotation that is kept, cut where nobody would read on", () => {
    assert.deepEqual(boundedContainer(component("a").metadata).annotations, { [COMPONENT_CONTAINER]: CONTAINER });
    const annotations = { [COMPONENT_CONTAINER]: "x".repeat(100_000), other: "y" };
    const kept = boundedContainer({ ...component("a").metadata, annotations }).annotations ?? {};
    assert.deepEqual(Object.keys(kept), [COMPONENT_CONTAINER]);
    assert.equal(kept[COMPONENT_CONTAINER]?.length, CONTAINER_KEPT_MAX);
    assert.ok(CONTAINER_KEPT_MAX > CONTAINER_CHARS_MAX, "the injector sees that it is too long");
    assert.deepEqual(boundedContainer({ ...component("a").metadata, annotations: { other: "y" } }), {});
  });
});
