// What the operator asks the sidecar's decoder, where that is different from what a laptop asks.
import assert from "node:assert/strict";
import { judge } from "#operator/judge.ts";

const REDIS = {
  apiVersion: "dapr.io/v1alpha1",
  kind: "Component",
  metadata: { name: "orders", namespace: "default" },
  spec: {
    type: "state.redis",
    version: "v1",
    metadata: [
      { name: "redisHost", value: "redis:6379" },
      { name: "redisPassword", secretKeyRef: { name: "redis", key: "password" } },
    ],
  },
};

describe("a Component that the operator judges", () => {
  it("may take a secret without naming a store of secrets: it is Kubernetes' own", async () => {
    assert.deepEqual((await judge(REDIS)).faults, []);
  });

  it("has a known type when a container of it is named", async () => {
    const named = (annotations: Record<string, string>) =>
      judge({ ...REDIS, metadata: { ...REDIS.metadata, annotations }, spec: { type: "state.own", version: "v1" } });
    const [unknown] = (await named({})).faults;
    assert.equal(unknown?.field, "spec.type");
    assert.deepEqual((await named({ "dapr.io/component-container": "{}" })).faults, []);
  });

  it("is not its own when sidecars have no use for it", async () => {
    const other = await judge({ ...REDIS, spec: { type: "pubsub.redis", version: "v1", metadata: [] } });
    assert.equal(other.isOurs, false);
    assert.equal((await judge(REDIS)).isOurs, true);
  });
});
