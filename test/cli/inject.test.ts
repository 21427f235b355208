import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import fc from "fast-check";
import { dispatch } from "#cli/dispatch.ts";
import { yamlText } from "#cli/inject-documents.ts";
import { readManifest } from "#crds/manifest.ts";
import { readOperatorFlags } from "#operator/flags.ts";
import type { Pod } from "#operator/inject/object.ts";
import { defaultSettings } from "#operator/inject/settings.ts";
import { injectSettings } from "#operator/settings.ts";
import { testHost } from "#test/unit/cli/output.ts";
import { Bench } from "./pannier.ts";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function pannier(argv: readonly string[], input = ""): Promise<Ran> {
  const host = testHost({ stdin: () => Readable.from([input]) });
  const code = await dispatch(argv, host);
  return { code, out: host.stdout.text, err: host.stderr.text };
}

const inject = (input: string, ...flags: string[]): Promise<Ran> => pannier(["inject", "-f", "-", ...flags], input);

/** The documents of a text as values. */
function valuesOf(text: string): readonly unknown[] {
  const { documents, faults } = readManifest(text);
  assert.deepEqual(faults, []);
  return documents.map(({ value }) => value);
}

const TEMPLATE = `
    metadata:
      annotations: {dapr.io/enabled: "true", dapr.io/app-id: orders}
    spec:
      containers: [{name: app, image: app}]
`;

const OTHER = `# What the shop is set up by.
apiVersion: v1
kind: ConfigMap
metadata: {name: shop} # kept
data: {on: "1"}
`;

const WAYS: Readonly<Record<string, string>> = {
  Deployment: `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: orders}\nspec:\n  template:${TEMPLATE}`,
  StatefulSet: `apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: orders}\nspec:\n  template:${TEMPLATE}`,
  DaemonSet: `apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: orders}\nspec:\n  template:${TEMPLATE}`,
  ReplicaSet: `apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: orders}\nspec:\n  template:${TEMPLATE}`,
  Job: `apiVersion: batch/v1\nkind: Job\nmetadata: {name: orders}\nspec:\n  template:${TEMPLATE}`,
  CronJob: `apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: orders}\nspec:\n jobTemplate:\n  spec:\n   template:${TEMPLATE}`,
  Pod: `apiVersion: v1\nkind: Pod\nmetadata:\n  name: orders\n  annotations: {dapr.io/enabled: "true"}\nspec:\n  containers: [{name: app}]\n`,
};

describe("pannier inject", () => {
  for (const [kind, manifest] of Object.entries(WAYS)) {
    it(`injects a ${kind}, and uninject gives the manifest's values back`, async () => {
      const { code, out, err } = await inject(manifest);
      assert.equal(code, 0, err);
      assert.equal(err, `${kind} orders: injected: the sidecar is an init container and runs as long as the pod\n`);
      assert.equal([...out.matchAll(/name: daprd$/gm)].length, 1);
      const back = await pannier(["uninject", "-f", "-"], out);
      assert.equal(back.code, 0);
      assert.equal(back.err, `${kind} orders: the sidecar is taken out\n`);
      assert.deepEqual(valuesOf(back.out), valuesOf(manifest));
    });
  }

  it("gives pluggable components their folder, and uninject takes it back", async () => {
    const manifest = (WAYS.Deployment ?? "")
      .replace("dapr.io/app-id: orders}", 'dapr.io/app-id: orders, dapr.io/pluggable-components: "my-store"}')
      .replace("{name: app, image: app}", "{name: app, image: app}, {name: my-store, image: my-store}");
    const { code, out, err } = await inject(manifest);
    assert.equal(code, 0, err);
    assert.match(err, /note: container my-store starts with the app/);
    assert.equal([...out.matchAll(/name: DAPR_COMPONENT_SOCKETS_FOLDER$/gm)].length, 2);
    const back = await pannier(["uninject", "-f", "-"], out);
    assert.deepEqual(valuesOf(back.out), valuesOf(manifest));
  });

  it("says that it cannot know what Components bring along", async () => {
    const manifest = (WAYS.Pod ?? "").replace('"true"}', '"true", dapr.io/inject-pluggable-components: "true"}');
    const { code, err } = await inject(manifest);
    assert.equal(code, 1);
    assert.match(err, /refused: .*`pannier inject` has none; write the containers into the pod instead/);
  });

  it("injects each item of a list, and leaves the others", async () => {
    const items = [WAYS.Pod ?? "", OTHER].map((text) => valuesOf(text)[0]);
    const { code, out, err } = await inject(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    assert.equal(code, 0);
    assert.match(err, /^Pod orders: injected/);
    const [list] = valuesOf(out) as [{ items: unknown[] }];
    assert.deepEqual(list.items[1], items[1]);
    assert.match(JSON.stringify(list.items[0]), /"daprd"/);
  });

  it("prints documents that hold no pod that asks just as they stand, comments and all", async () => {
    const quiet = (WAYS.Pod ?? "").replace("true", "false");
    const { code, out, err } = await inject(`${OTHER}---\n${WAYS.Deployment}---\n${quiet}`);
    assert.equal(code, 0);
    assert.ok(out.startsWith(OTHER));
    assert.ok(out.endsWith(`---\n${quiet}`));
    assert.equal(valuesOf(out).length, 3);
    assert.match(err, /^Pod orders: left alone: neither dapr\.io\/enabled nor pannier\.io\/enabled is "true"$/m);
  });

  it("changes nothing of what it has printed", async () => {
    const { out } = await inject(WAYS.Deployment ?? "");
    const again = await inject(out);
    assert.deepEqual(valuesOf(again.out), valuesOf(out));
    assert.match(again.err, /injected: the sidecar was there/);
  });

  it("ends with 1 and the reason when a pod is refused, and prints the rest", async () => {
    const wrong = (WAYS.Deployment ?? "").replace("app-id: orders", "app-id: Orders");
    const { code, out, err } = await inject(`${WAYS.Pod}---\n${wrong}`);
    assert.equal(code, 1);
    assert.match(err, /^Deployment orders: refused: .*dapr\.io\/app-id: got "Orders", want an app id/m);
    assert.ok(out.endsWith(wrong));
    assert.match(out, /name: daprd/);
  });

  it("says where the annotation belongs when it stands on the Deployment", async () => {
    const text = (WAYS.Deployment ?? "")
      .replace('dapr.io/enabled: "true", ', "")
      .replace("metadata: {name: orders}", 'metadata: {name: orders, annotations: {dapr.io/enabled: "true"}}');
    assert.match((await inject(text)).err, /note: the annotation stands on the object; it belongs on the pod template/);
  });

  it("says of a kind whose pods it does not look for that one asks for a sidecar, also in a list", async () => {
    const rollout = `apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: orders}\nspec:\n  template:${TEMPLATE}`;
    const note =
      "Rollout orders: left alone: dapr.io/enabled stands in it, and pods are looked for in kinds of Kubernetes only\n";
    assert.deepEqual(await inject(rollout), { code: 0, out: rollout, err: note });
    const items = [WAYS.Pod ?? "", rollout, OTHER].map((text) => valuesOf(text)[0]);
    const { err } = await inject(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    assert.ok(err.endsWith(note), err);
    assert.equal(err.split("\n").length, 3);
  });

  it("refuses what cannot be read only where it may ask for a sidecar", async () => {
    const asks = await inject('kind: Pod\nmetadata: {annotations: {dapr.io/enabled: "true"}\n');
    assert.equal(asks.code, 1);
    assert.match(asks.err, /^pannier inject: -: line 3: want YAML that can be read/);
    const other = "kind: [\n";
    assert.deepEqual(await inject(other), { code: 0, out: other, err: "" });
  });

  it("says of a whole number that it could not print again", async () => {
    const { code, err, out } = await inject(`${WAYS.Pod}  big: 9007199254740993\n`);
    assert.equal(code, 1);
    assert.match(err, /line 1: a whole number is beyond 2\^53/);
    assert.match(out, /big: 9007199254740993/);
  });

  it("follows its flags", async () => {
    const flags = [
      "-n",
      "bank",
      "--image",
      "registry.example/p:1",
      "--native-sidecar=false",
      "--image-pull-policy=always",
    ];
    const { out } = await inject(WAYS.Pod ?? "", ...flags, "--control-plane-address", "op:1");
    const [pod] = valuesOf(out) as [Pod];
    const [, sidecar] = pod.spec.containers;
    assert.equal(pod.spec.initContainers, undefined);
    assert.deepEqual([sidecar?.image, sidecar?.imagePullPolicy], ["registry.example/p:1", "Always"]);
    assert.deepEqual(sidecar?.env?.[0], { name: "NAMESPACE", value: "bank" });
    assert.ok(sidecar?.args?.includes("op:1"));
  });

  it("takes the operator's flags for sidecars, under the same names", async () => {
    const amounts = ["--sidecar-cpu-request=0.1", "--sidecar-cpu-limit=1", "--sidecar-memory-limit="];
    const others = ["--sidecar-run-as-user=-1", "--sidecar-log-level=debug", "--sidecar-log-as-json"];
    const { code, out, err } = await inject(WAYS.Pod ?? "", ...amounts, ...others);
    assert.equal(code, 0, err);
    const [pod] = valuesOf(out) as [Pod];
    const [sidecar] = pod.spec.initContainers ?? [];
    assert.deepEqual(sidecar?.resources, { limits: { cpu: "1" }, requests: { cpu: "0.1", memory: "96Mi" } });
    assert.doesNotMatch(JSON.stringify(sidecar.securityContext), /runAsUser|runAsGroup/);
    assert.equal(sidecar.args?.[sidecar.args.indexOf("--log-level") + 1], "debug");
    assert.ok(sidecar.args?.includes("--log-as-json"));
    const [plain] = valuesOf((await inject(WAYS.Pod ?? "", "--sidecar-run-as-user=1000")).out) as [Pod];
    assert.match(JSON.stringify(plain.spec.initContainers), /"runAsUser":1000,"runAsGroup":1000/);
  });

  it("has the operator's defaults for sidecars where no flag says otherwise", async () => {
    const { asks, flags } = { flags: null, ...readOperatorFlags(["--sidecar-image=x"], { NAMESPACE: "n" }, "host") };
    assert.ok(asks === "serve" && flags !== null);
    const { resources, runAsUser, runAsGroup, logLevel, logAsJson } = injectSettings(flags, 34);
    const preset = defaultSettings("n");
    assert.deepEqual({ ...preset, resources, runAsUser, runAsGroup, logLevel, logAsJson }, preset);
  });

  const misused: [string[], number, RegExp][] = [
    [["inject", "-f", "-", "--sidecar-cpu-limit", "lots"], 2, /--sidecar-cpu-limit: got "lots", want an amount/],
    [["inject", "-f", "-", "--sidecar-run-as-user", "-2"], 2, /--sidecar-run-as-user: got "-2"/],
    [["inject"], 2, /got no manifest, want -f FILE/],
    [["inject", "pod.yaml"], 2, /got pod\.yaml, want manifests by -f/],
    [["uninject"], 2, /got no manifest/],
    [["inject", "-f", "/no/such/file"], 1, /\/no\/such\/file: ENOENT/],
    [["inject", "-f", "-", "--trust-anchors", "/no/such/file"], 1, /--trust-anchors: ENOENT/],
  ];
  for (const [argv, wanted, pattern] of misused) {
    it(`ends with ${wanted} for ${argv.join(" ")}`, async () => {
      const { code, err } = await pannier(argv);
      assert.equal(code, wanted);
      assert.match(err, pattern);
    });
  }

  it("prints any text so that it is read as the same text", () => {
    const words = fc.constantFrom(
      "yes",
      "1e3",
      "0o7",
      "0x1F",
      "1_000",
      "~",
      "<<",
      "- a",
      "---",
      "2001-01-01",
      ".5",
      "#",
    );
    const text = fc.oneof(
      words,
      fc.string(),
      fc.string({ unit: "binary" }).map((each) => each.replaceAll(/[\ud800-\udfff]/g, "")),
    );
    fc.assert(
      fc.property(
        fc.dictionary(
          text.filter((key) => key !== "__proto__" && key.length < 100),
          text,
        ),
        (value) => {
          const plain: unknown = JSON.parse(JSON.stringify({ value }));
          assert.deepEqual(valuesOf(yamlText(plain)), [plain]);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe("pannier inject, as a process", () => {
  const bench = new Bench();
  afterEach(() => bench.clear());

  it("reads several files and the trust anchors from disk", async () => {
    const cwd = await bench.folder();
    await writeFile(join(cwd, "a.yaml"), WAYS.Pod ?? "");
    await writeFile(join(cwd, "b.yaml"), OTHER);
    await writeFile(join(cwd, "ca.pem"), "-----BEGIN CERTIFICATE-----\n");
    const argv = ["inject", "-f", "a.yaml,b.yaml", "--trust-anchors", "ca.pem"];
    const started = bench.start(argv, { cwd });
    assert.equal(await started.ended, 0, started.err);
    assert.equal(valuesOf(started.out).length, 2);
    assert.match(started.out, /DAPR_TRUST_ANCHORS\n +value: \|\n +-----BEGIN/);
    assert.ok(started.out.endsWith(`---\n${OTHER}`));
  });
});
