// The chart: what it copies, what its values may be, and what Helm makes of them.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { CHART, copies, ROOT } from "#charts/copies.ts";
import { helm, MANIFEST, manifest } from "#charts/helm.ts";
import { VERSION } from "#kit/version.ts";
import { readOperatorFlags } from "#operator/flags.ts";
import { PrometheusOperatorMetrics } from "#operator/prometheus.ts";
import { matrix } from "./matrix.ts";
import { describeWithHelm, only, operatorContainer, render, renderText, theHelm } from "./rendered.ts";

const read = (path: string): string => readFileSync(join(CHART, path), "utf8");

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
}

describe("the chart's files", () => {
  it("hold copies of crds/, as `npm run chart` makes them", () => {
    const wanted = copies();
    assert.deepEqual(
      readdirSync(join(CHART, "files/crds")).map((name) => `files/crds/${name}`),
      [...wanted.keys()].filter((path) => path.startsWith("files/crds/")),
    );
    for (const [path, text] of wanted) assert.equal(read(path), text, path);
  });

  it("carry the version of the package", () => {
    const { version, appVersion } = load(read("Chart.yaml")) as Record<string, string>;
    assert.deepEqual([version, appVersion], [VERSION, VERSION]);
  });

  it("describe every value, and no other", () => {
    const schema: Schema = JSON.parse(read("values.schema.json"));
    const { global: _helms, ...properties } = schema.properties ?? {};
    assert.deepEqual(described({ properties }, ""), valuesOf(load(read("values.yaml")), "", { properties }));
  });

  it("draw metrics that there are", async () => {
    const known = readFileSync(`${ROOT}docs/metrics.md`, "utf8") + (await new PrometheusOperatorMetrics().text());
    const dashboards = readdirSync(join(CHART, "dashboards"));
    assert.ok(dashboards.length >= 2);
    const named = dashboards.flatMap((name) => [...read(`dashboards/${name}`).matchAll(/\b(dapr|pannier)_[a-z_]+/g)]);
    assert.ok(named.length > 20);
    const unknown = named.map(([name]) => name.replace(/_bucket$/, "")).filter((name) => !known.includes(name));
    assert.deepEqual(unknown, []);
  });
});

/** Paths of all properties; fails for one without a description. */
function described(schema: Schema, path: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    assert.ok((inner.description ?? "") !== "", `${path}${name} has no description`);
    return inner.properties === undefined ? [`${path}${name}`] : described(inner, `${path}${name}.`);
  });
}

/** Paths of all values, as deep as the schema goes. */
function valuesOf(values: unknown, path: string, schema: Schema): string[] {
  return Object.entries(values as object).flatMap(([name, inner]) => {
    const next = schema.properties?.[name] ?? {};
    return next.properties === undefined ? [`${path}${name}`] : valuesOf(inner, `${path}${name}.`, next);
  });
}

describeWithHelm("the chart", () => {
  it("has nothing for `helm lint` to say but that an icon is missing", async () => {
    const { stdout } = await helm(theHelm(), ["lint", "--strict", CHART]);
    assert.match(stdout, /1 chart\(s\) linted, 0 chart\(s\) failed/);
    assert.deepEqual(stdout.match(/\[(WARNING|ERROR)\].*/g), null);
  });

  it(`is what ${MANIFEST} was made of`, async () => {
    assert.equal(readFileSync(ROOT + MANIFEST, "utf8"), await manifest(theHelm()), "npm run chart");
  });

  for (const { name, values, kubeVersion } of matrix("apps")) {
    it(`starts the operator with flags that it takes: ${name}`, async () => {
      const objects = await render(values, kubeVersion === undefined ? {} : { kubeVersion });
      const { args } = operatorContainer(objects);
      const request = readOperatorFlags(args, { NAMESPACE: "pannier-system" }, "host");
      assert.equal(request.asks, "serve", JSON.stringify(request));
    });
  }

  it("fails closed for annotated pods from Kubernetes 1.30 on", async () => {
    const [webhook] = only(await render({}, { kubeVersion: "1.30.0" }), "MutatingWebhookConfiguration").webhooks;
    assert.equal(webhook.failurePolicy, "Fail");
    assert.equal(webhook.matchConditions.length, 1);
  });

  it("fails open before, where it would hold up every pod of the cluster", async () => {
    const [webhook] = only(await render({}, { kubeVersion: "1.29.9" }), "MutatingWebhookConfiguration").webhooks;
    assert.deepEqual([webhook.failurePolicy, webhook.matchConditions], ["Ignore", undefined]);
    await assert.rejects(renderText({ webhook: { failurePolicy: "Fail" } }, { kubeVersion: "1.29.9" }), /got Fail on/);
  });

  it("leaves kube-system, its own namespace and the excluded ones alone", async () => {
    const objects = await render({ webhook: { excludedNamespaces: ["ci"] } });
    const [webhook] = only(objects, "MutatingWebhookConfiguration").webhooks;
    assert.deepEqual(webhook.namespaceSelector.matchExpressions, [
      { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", "pannier-system", "ci"] },
    ]);
    assert.ok(operatorContainer(objects).args.includes("--excluded-namespaces=ci"));
  });

  it("holds no caBundle, which is the operator's to write", async () => {
    assert.doesNotMatch(await renderText(), /caBundle/);
  });

  it("turns the policy's warnings into what admissionPolicy.action says", async () => {
    const bindingsOf = async (action: string, kubeVersion = "1.30.0") =>
      (await render({ admissionPolicy: { action } }, { kubeVersion })).filter(
        ({ kind }) => kind === "ValidatingAdmissionPolicyBinding",
      );
    const denying = await bindingsOf("Deny");
    assert.ok(denying.length > 0);
    const policies = (await render()).filter(({ kind }) => kind === "ValidatingAdmissionPolicy");
    for (const { spec } of denying) {
      assert.deepEqual(spec.validationActions, ["Deny"]);
      assert.ok(policies.some(({ metadata }) => metadata.name === spec.policyName));
    }
    assert.deepEqual(await bindingsOf("Off"), []);
    assert.deepEqual(await bindingsOf("Warn", "1.29.0"), []);
  });

  it("keeps CRDs when the release goes, and leaves them out on demand", async () => {
    const crds = (await render()).filter(({ kind }) => kind === "CustomResourceDefinition");
    assert.equal(crds.length, readdirSync(join(CHART, "files/crds")).length);
    for (const { metadata } of crds)
      assert.equal(Object(metadata).annotations["helm.sh/resource-policy"], "keep", metadata.name);
    const without = await render({ crds: { install: false } });
    assert.ok(without.every(({ kind }) => kind !== "CustomResourceDefinition"));
  });

  it("takes one image for operator and sidecars, and a name with a tag or digest as it stands", async () => {
    for (const [image, wanted] of [
      [{}, `pannier:${VERSION}`],
      [{ repository: "registry.example/pannier" }, `registry.example/pannier:${VERSION}`],
      [{ repository: "localhost:5000/pannier", tag: "2" }, "localhost:5000/pannier:2"],
      [{ repository: "registry.example/pannier:7", tag: "2" }, "registry.example/pannier:7"],
      [{ repository: "registry.example/pannier@sha256:00" }, "registry.example/pannier@sha256:00"],
    ] as const) {
      const container = operatorContainer(await render({ image }));
      assert.equal(container.image, wanted);
      assert.ok(container.args.includes(`--sidecar-image=${wanted}`), wanted);
    }
    const own = operatorContainer(await render({ sidecar: { image: "registry.example/mine:1" } }));
    assert.ok(own.args.includes("--sidecar-image=registry.example/mine:1"));
  });

  it("runs operator and sidecars as whom it is told, also by the large numbers of OpenShift, or as nobody says", async () => {
    const users = async (runAsUser: number) => {
      const objects = await render({ operator: { runAsUser }, sidecar: { runAsUser } });
      const pods = [
        only(objects, "Deployment").spec.template,
        only(objects, "Job").spec.template,
        only(objects, "Pod"),
      ];
      for (const { spec } of pods) assert.equal(spec.securityContext.runAsNonRoot, true);
      const { args } = operatorContainer(objects);
      const flag = args.find((each: string) => each.startsWith("--sidecar-run-as-user="));
      return [flag, ...pods.map(({ spec }) => spec.securityContext.runAsUser)];
    };
    assert.deepEqual(await users(1_000_680_000), ["--sidecar-run-as-user=1000680000", ...Array(3).fill(1_000_680_000)]);
    assert.deepEqual(await users(-1), ["--sidecar-run-as-user=-1", ...Array(3).fill(undefined)]);
  });

  it("has rights and policies in the namespaces that it serves, and in no others", async () => {
    const objects = await render({ watchNamespaces: ["a", "b"], secrets: { allNamespaces: true } });
    const bound = (kind: string) =>
      objects.filter((each) => each.kind === kind).map(({ metadata, roleRef }) => [roleRef?.name, metadata.namespace]);
    assert.deepEqual(bound("ClusterRoleBinding"), [["pannier-pannier-system-cluster", undefined]]);
    const inEach = ["a", "b"].flatMap((namespace) =>
      ["namespaced", "secrets"].map((role) => [`pannier-pannier-system-${role}`, namespace]),
    );
    const own = [
      ["pannier-operator", "pannier-system"],
      ["pannier-cleanup", "pannier-system"],
    ];
    assert.deepEqual(bound("RoleBinding").sort(), [...inEach, ...own].sort());
    const bindings = objects.filter(({ kind }) => kind === "ValidatingAdmissionPolicyBinding");
    assert.ok(bindings.length > 0);
    for (const { spec } of bindings)
      assert.deepEqual(spec.matchResources.namespaceSelector.matchExpressions[0].values, ["a", "b"]);
  });

  it("meets no other release in objects that belong to no namespace", async () => {
    const clusterWide = (await render())
      .filter(({ kind, metadata }) => metadata.namespace === undefined && kind !== "CustomResourceDefinition")
      .map(({ metadata }) => metadata.name);
    assert.ok(clusterWide.length >= 5);
    for (const name of clusterWide) assert.match(name, /^pannier-pannier-system/);
  });

  it("runs the operator under the restricted Pod Security Standard", async () => {
    const { spec } = only(await render(), "Deployment").spec.template;
    const [container] = spec.containers;
    assert.deepEqual(
      [spec.securityContext.runAsNonRoot, spec.securityContext.seccompProfile, container.securityContext],
      [
        true,
        { type: "RuntimeDefault" },
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ["ALL"] } },
      ],
    );
  });

  for (const [wrong, says] of [
    [{ webhook: { failurePolicy: "fail" } }, /webhook\/failurePolicy'?: value must be one of '', 'Fail', 'Ignore'/],
    [{ operator: { replicas: 0 } }, /operator\/replicas'?: minimum: got 0, want 1/],
    [{ operater: {} }, /additional properties 'operater' not allowed/],
    [{ secrets: { namespaces: "apps" } }, /secrets\/namespaces'?: got string, want array/],
    [{ admissionPolicy: { action: "warn" } }, /admissionPolicy\/action'?: value must be one of/],
    [
      { sidecar: { resources: { limits: { memory: "much" } } } },
      /sidecar\/resources\/limits\/memory'?: 'much' does not/,
    ],
    [{ operator: { drainTimeout: "60000ms" } }, /operator\/drainTimeout'?: '60000ms' does not match/],
    [{ sidecar: { runAsUser: 0 } }, /sidecar\/runAsUser'?: 'not' failed/],
    [{ operator: { runAsUser: 0 } }, /operator\/runAsUser'?: 'not' failed/],
    [{ secrets: { namespaces: ["apps", "apps"] } }, /secrets\/namespaces'?: items at 0 and 1 are equal/],
    [{ operator: { drainTimeout: "2m" } }, /operator\/drainTimeout'?: '2m' does not match/],
    [{ serviceAccount: { create: false } }, /serviceAccount\.name: want the name of a service account/],
  ] as const) {
    it(`refuses ${JSON.stringify(wrong)}`, async () => {
      await assert.rejects(renderText(wrong), says);
    });
  }
});
