// The rows of docs/differences.md on the chart, as Helm renders it.
import assert from "node:assert/strict";
import {
  type ChartWebhook,
  describeWithHelm,
  type KubeManifest,
  only,
  render,
  renderText,
} from "#test/chart/rendered.ts";

describeWithHelm("differences of the chart", () => {
  let objects: readonly KubeManifest[];
  let webhook: ChartWebhook;

  before(async () => {
    objects = await render();
    [webhook] = only(objects, "MutatingWebhookConfiguration").webhooks;
  });

  it("K60: only pods with the annotation are asked about", () => {
    // test/chart/release.test.ts shows it on an API server.
    assert.match(webhook.matchConditions[0].expression, /'dapr\.io\/enabled', 'pannier\.io\/enabled'/);
    assert.deepEqual(webhook.namespaceSelector.matchExpressions[0].values, ["kube-system", "pannier-system"]);
  });

  it("K61: the webhook fails closed", async () => {
    assert.equal(webhook.failurePolicy, "Fail");
    const open = only(await render({ webhook: { failurePolicy: "Ignore" } }), "MutatingWebhookConfiguration");
    assert.equal(open.webhooks[0].failurePolicy, "Ignore");
  });

  it("K62: CRDs are part of the release, and kept", () => {
    const crds = objects.filter(({ kind }) => kind === "CustomResourceDefinition");
    assert.ok(crds.length >= 3);
    for (const { metadata } of crds) assert.equal(Object(metadata).annotations["helm.sh/resource-policy"], "keep");
  });

  it("K63: Secrets are granted by namespace", async () => {
    const bindings = (all: readonly KubeManifest[]): readonly string[] =>
      all
        .filter(({ roleRef }) => roleRef?.name === "pannier-pannier-system-secrets")
        .map(({ kind, metadata }) => `${kind} ${metadata.namespace}`);
    assert.deepEqual(bindings(objects), []);
    assert.deepEqual(bindings(await render({ secrets: { namespaces: ["a", "b"] } })), [
      "RoleBinding a",
      "RoleBinding b",
    ]);
    assert.deepEqual(bindings(await render({ secrets: { allNamespaces: true } })), ["ClusterRoleBinding undefined"]);
  });

  it("K64: two releases share no object but CRDs", async () => {
    const names = (all: readonly KubeManifest[]): readonly string[] =>
      all
        .filter(({ kind }) => kind !== "CustomResourceDefinition")
        .map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`);
    const other = new Set(names(await render({}, { namespace: "other" })));
    assert.deepEqual(
      names(objects).filter((name) => other.has(name)),
      [],
    );
  });

  it("K65: a misspelt value is refused", async () => {
    await assert.rejects(renderText({ secrets: { namespace: ["a"] } }), /'namespace' not allowed/);
  });

  it("K66: two replicas, and a drain of nodes leaves one", async () => {
    assert.equal(only(objects, "Deployment").spec.replicas, 2);
    assert.equal(only(objects, "PodDisruptionBudget").spec.maxUnavailable, 1);
    const single = await render({ operator: { replicas: 1 } });
    // It would keep a node from ever being drained.
    assert.ok(single.every(({ kind }) => kind !== "PodDisruptionBudget"));
  });
});
