// The rows of docs/differences.md on pods with pluggable components.
import assert from "node:assert/strict";
import { type Decision, decide } from "#operator/inject/decide.ts";
import type { Container, Pod, PodSpec } from "#operator/inject/object.ts";
import { defaultSettings } from "#operator/inject/settings.ts";

const NAMES = "dapr.io/pluggable-components";
const STORE = { name: "my-store", image: "x" };

function judge(
  annotations: Record<string, string>,
  spec: Partial<PodSpec> = {},
  texts: readonly string[] = [],
): Decision {
  const metadata = { name: "orders", annotations: { "dapr.io/enabled": "true", ...annotations } };
  const componentContainers = texts.map((text, nth) => ({ component: `store-${nth}`, scopes: [], text }));
  const settings = { ...defaultSettings("pannier-system"), componentContainers };
  return decide({ metadata, spec: { containers: [{ name: "app" }], ...spec } }, "shop", settings);
}

function injected(decision: Decision): Pod {
  assert.ok(decision.outcome === "inject", decision.sentence);
  return decision.pod;
}

function initOf({ spec }: Pod): readonly Container[] {
  return spec.initContainers ?? [];
}

describe("differences of pluggable components on Kubernetes", () => {
  it("PL6: the sidecar reads the variable by which it is told the folder", () => {
    const folder = { "dapr.io/pluggable-components-sockets-folder": "/sockets" };
    const pod = injected(
      judge({ [NAMES]: "my-store", ...folder }, { initContainers: [{ ...STORE, restartPolicy: "Always" }] }),
    );
    const variables = initOf(pod).map(({ env }) => (env ?? []).filter(({ value }) => value === "/sockets"));
    assert.deepEqual(
      variables.map((each) => each.map(({ name }) => name)),
      [["DAPR_COMPONENT_SOCKETS_FOLDER"], ["DAPR_COMPONENT_SOCKETS_FOLDER", "DAPR_COMPONENTS_SOCKETS_FOLDER"]],
    );
  });

  it("PL7: a pod without a container that is named is refused", () => {
    const { outcome, sentence } = judge({ [NAMES]: "my-stroe" }, { containers: [STORE] });
    assert.equal(outcome, "deny");
    assert.match(sentence, /got my-stroe, want a container of the pod; did you mean my-store\?/);
  });

  it("PL8: init containers that stay can be components, and the app starts when their store serves", () => {
    const pod = injected(judge({ [NAMES]: "my-store" }, { initContainers: [{ ...STORE, restartPolicy: "Always" }] }));
    const [store, sidecar] = initOf(pod);
    assert.deepEqual([store?.name, sidecar?.name], ["my-store", "daprd"]);
    assert.match(JSON.stringify(store?.volumeMounts), /dapr-components-unix-domain-socket/);
    assert.match(JSON.stringify(sidecar?.startupProbe), /outbound/);
  });

  it("PL9: a container of a Component that cannot be read is told", () => {
    const { outcome, sentence } = judge({ "dapr.io/inject-pluggable-components": "true" }, {}, ["image: x"]);
    assert.equal(outcome, "deny");
    assert.match(sentence, /Component store-0, dapr\.io\/component-container: want a container, in JSON/);
  });

  it("PL10: containers of Components start before the sidecar, and end with the pod", () => {
    const pod = injected(judge({ "dapr.io/inject-pluggable-components": "true" }, {}, ['{"image": "x"}']));
    assert.deepEqual(
      initOf(pod).map(({ name, restartPolicy }) => [name, restartPolicy]),
      [
        ["store-0", "Always"],
        ["daprd", "Always"],
      ],
    );
    assert.equal(pod.spec.containers.length, 1);
  });

  it("PL11: a component whose sockets would be out of sight is refused", () => {
    const volumeMounts = [{ name: "work", mountPath: "/tmp/dapr-components-sockets" }];
    const { sentence } = judge({ [NAMES]: "my-store" }, { containers: [{ ...STORE, volumeMounts }] });
    assert.match(sentence, /got \/tmp\/dapr-components-sockets, where container my-store mounts another volume/);
  });
});
