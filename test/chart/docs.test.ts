// What the pages on Kubernetes tell people to type, and the rights that they list. Every command of every `console` block
// is run or parsed here, or named with the reason why not.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { load, loadAll } from "js-yaml";
import { CHART } from "#charts/copies.ts";
import { helm } from "#charts/helm.ts";
import { readOperatorFlags } from "#operator/flags.ts";
import { requiredNames } from "#operator/settings.ts";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import { findBinary } from "#test/cluster/binaries.ts";
import { installCrds } from "#test/cluster/crds.ts";
import { judge } from "#test/docs/judgement.ts";
import { ROOT, readPage, readPages } from "#test/docs/pages.ts";
import { describeWithHelm, type KubeManifest, operatorContainer, render, theHelm } from "./rendered.ts";

const PAGES = [...readPages(), readPage("examples/kubernetes/README.md")];

/** What `helm upgrade` takes and `helm template` does not, without a meaning for what is rendered. */
const UPGRADE_ONLY = new Set(["--reset-then-reuse-values"]);

/** By how a command begins: where it is run, or why nowhere. The first that fits counts. */
const RUN_ELSEWHERE: readonly (readonly [string, string])[] = [
  ["npm ci", "start.test.ts; this run stands on it"],
  ["npm run image -- --output ", "image.test.ts runs the same file"],
  ["kind load ", "takes Docker"],
  ["sudo ctr ", "test/node/ imports the same archive"],
  ["skopeo copy ", "takes a registry"],
  ["docker buildx ", "takes Docker; image.test.ts compares the Dockerfile with the image"],
  ["helm test ", "takes a node: test/node/"],
  ["helm rollback pannier ", "release.test.ts"],
  ["helm uninstall pannier ", "release.test.ts"],
  ["helm uninstall dapr ", "Dapr's own"],
  ["kubectl apply --server-side -f deploy/pannier.yaml", "accepted.test.ts"],
  ["kubectl annotate secret pannier-ca ", "test/kube/certificates.test.ts sets this annotation"],
  ["kubectl -n shop rollout status ", "takes a node"],
  ["kubectl -n shop port-forward ", "takes a node"],
  ["curl localhost:8080 ", "takes a node; examples.test.ts asks the app"],
];

/** The beginning of another one too. */
const EXAMPLE_SHOWN = "kubectl -n shop get components";

/** Run by the tests below, on a real API server. */
const RUN_HERE: readonly string[] = [
  "kubectl apply -k examples/kubernetes",
  EXAMPLE_SHOWN,
  "kubectl get components",
  "kubectl patch deployment orders ",
  "kubectl -n shop get events ",
  "kubectl -n shop get components,configurations,resiliencies ",
  "pannier check shop.yaml",
  "kubectl scale deployment pannier-operator ",
  "kubectl delete ",
];

/** Commands of all blocks, each on one line. */
function commands(): readonly string[] {
  const blocks = PAGES.flatMap(({ blocks }) => blocks).filter(({ language }) => language === "console");
  const text = blocks.map((block) => block.text).join("");
  const joined = text.replaceAll(/\\\n\s*/g, "");
  return joined.split("\n").filter((line) => line !== "");
}

const isOfChart = (line: string): boolean => /^helm (install|upgrade) pannier charts\/pannier /.test(line);

/** The only command that begins so. */
function command(beginning: string): string {
  const [found, ...more] = new Set(commands().filter((line) => line.startsWith(beginning)));
  assert.ok(found !== undefined, beginning);
  assert.deepEqual(more, []);
  return found;
}

describe("the commands on the pages about Kubernetes", () => {
  it("are run, or named with the reason why not", () => {
    const beginnings = [...RUN_ELSEWHERE.map(([beginning]) => beginning), ...RUN_HERE];
    const known = (line: string) => isOfChart(line) || beginnings.some((beginning) => line.startsWith(beginning));
    assert.deepEqual(
      commands().filter((line) => !known(line)),
      [],
    );
    assert.deepEqual(
      beginnings.filter((beginning) => !commands().some((line) => line.startsWith(beginning))),
      [],
    );
  });
});

describeWithHelm("what the pages on Kubernetes say", () => {
  const ofChart = [...new Set(commands().filter(isOfChart))].map((shown) => ({
    shown,
    words: shown.split(/ +/).map((word) => word.replaceAll("'", "")),
  }));

  it("installs and upgrades the chart in several ways", () => {
    assert.ok(ofChart.length >= 6);
  });

  for (const { shown, words } of ofChart) {
    it(`is taken by Helm: ${shown}`, async () => {
      const [, , release = "", , ...flags] = words;
      const taken = flags.filter((flag) => !UPGRADE_ONLY.has(flag));
      const { status, stderr } = await helm(theHelm(), ["template", release, CHART, ...taken]);
      assert.equal(status, 0, stderr);
    });
  }

  it("lists every right of the chart's roles, and no other", async () => {
    const listed = readPage("docs/kubernetes.md")
      .text.split("\n")
      .filter((line) => /^\| [\w-]+ \| [\w.]+ \| [\w/, ]+ \|[^|]*\| [a-z, ]+ \|/.test(line))
      .map((line) => line.split("|").slice(1, 6).join("|").replaceAll(" ", ""))
      .filter((row) => row !== "role|group|resource|names|verbs");
    const objects = [...(await render()), ...(await render({ secrets: { allNamespaces: true } }))];
    const roles = objects.filter(({ kind }) => kind === "Role" || kind === "ClusterRole");
    assert.deepEqual(listed.sort(), [...new Set(roles.flatMap(rightsOf))].sort());
  });

  it("orders a certificate of cert-manager that the operator takes", async () => {
    const [block] = readPage("docs/kubernetes.md").blocks.filter(({ text }) => text.includes("kind: Certificate"));
    const certificate = load(block?.text ?? "") as KubeManifest;
    const { args } = operatorContainer(await render({ certificates: { secretName: certificate.spec.secretName } }));
    const request = readOperatorFlags(args, { NAMESPACE: certificate.metadata.namespace }, "host");
    assert.ok(request.asks === "serve");
    for (const name of requiredNames(request.flags)) assert.ok(certificate.spec.dnsNames.includes(name), name);
  });
});

/** Each rule as a row of the table. */
function rightsOf({ metadata, rules }: KubeManifest): readonly string[] {
  const role = metadata.name.replace("pannier-pannier-system-", "");
  return rules.map(({ apiGroups, resources, resourceNames = [], verbs }: Record<string, readonly string[]>) => {
    const names = (resourceNames ?? []).map((name) => (name === "pannier-pannier-system" ? "itsown" : name));
    const group = apiGroups?.[0] === "" ? "core" : apiGroups?.join(",");
    return [role, group, resources?.join(","), names.join(","), verbs?.join(",")].join("|");
  });
}

/** Several kubectl in a row, on a machine that has other things to do. */
const BED_WITHIN_MS = 180_000;

describeWithBed("the commands for kubectl", () => {
  let bed: Bed;
  let namespace: string;
  let folder: string;

  before(async () => {
    bed = await sharedBed();
    await installCrds(bed);
    namespace = await bed.namespace();
    folder = await mkdtemp(join(tmpdir(), "pannier-pages-"));
    await bed.kubectl(["-n", namespace, "create", "deployment", "orders", "--image=orders"]);
    await bed.kubectl(["-n", namespace, "create", "deployment", "pannier-operator", "--image=pannier"]);
    await bed.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: components() }));
  });
  after(() => rm(folder, { recursive: true }));

  function components(): readonly object[] {
    const [apiVersion, kind] = ["dapr.io/v1alpha1", "Component"];
    const redisHost = { name: "redisHost", value: "redis:6379" };
    const password = { name: "redisPassword", secretKeyRef: { name: "redis", key: "password" } };
    const component = (name: string, type: string): object => ({
      apiVersion,
      kind,
      metadata: { name, namespace },
      spec: { type, version: "v1", metadata: [redisHost, password] },
    });
    return [component("statestore", "state.redis"), component("messages", "pubsub.redis")];
  }

  /** By a shell, in the namespace of this test, with the bed's kubectl, and without `pannier`, which `judge` stands for. */
  async function typed(line: string): Promise<string> {
    const kubectl = `kubectl() { command "$KUBECTL" --kubeconfig "$CONFIG" --namespace "$IN" "$@"; }`;
    const here = line.replaceAll(/ -n shop\b| --namespace pannier-system\b/g, "");
    const env = { ...process.env, KUBECTL: findBinary("kubectl") ?? "kubectl", CONFIG: bed.kubeconfig, IN: namespace };
    const script = `${kubectl}\n${here.replaceAll(" deploy/", ` ${ROOT}deploy/`).replaceAll(" examples/", ` ${ROOT}examples/`)}`;
    return (await promisify(execFile)("bash", ["-euc", script], { env, cwd: folder })).stdout;
  }

  it("ask for a sidecar", async function () {
    this.timeout(BED_WITHIN_MS);
    await typed(command("kubectl patch deployment orders "));
    const { spec } = JSON.parse(await bed.kubectl(["-n", namespace, "get", "deployment", "orders", "-o", "json"]));
    assert.deepEqual(spec.template.metadata.annotations, { "dapr.io/enabled": "true", "dapr.io/app-id": "orders" });
  });

  it("show Components, and their Events", async function () {
    this.timeout(BED_WITHIN_MS);
    for (const line of [command("kubectl get components"), EXAMPLE_SHOWN])
      assert.match(await typed(line), /NAME\s+TYPE\s+VERSION\s+READY\s+REASON\s+AGE\n[\s\S]*statestore\s+state\.redis/);
    const event = { apiVersion: "v1", kind: "Event", metadata: { name: "told", namespace }, reason: "SecretNotFound" };
    const about = { apiVersion: "dapr.io/v1alpha1", kind: "Component", name: "statestore", namespace };
    await bed.kubectl(["create", "-f", "-"], JSON.stringify({ ...event, involvedObject: about }));
    assert.match(await typed(command("kubectl -n shop get events ")), /SecretNotFound\s+component\/statestore/);
  });

  it("collect manifests that `pannier check` takes", async function () {
    this.timeout(BED_WITHIN_MS);
    await typed(command("kubectl -n shop get components,configurations,resiliencies "));
    const { code, report } = await judge(await readFile(join(folder, "shop.yaml"), "utf8"));
    assert.equal(code, 0, report);
    assert.match(report, /statestore.*want auth\.secretStore/);
    assert.match(report, / in 1 file: 0 errors, 1 warning/);
  });

  it("apply the example as a whole, in its own namespace", async function () {
    this.timeout(BED_WITHIN_MS);
    // What is made of it is sent to the API server by examples.test.ts.
    const text = await typed(command("kubectl apply -k ").replace("kubectl apply -k", "kubectl kustomize"));
    const namespaces = (loadAll(text) as KubeManifest[]).map(({ metadata }) => metadata.namespace ?? metadata.name);
    assert.deepEqual([namespaces.length, ...new Set(namespaces)], [7, "shop"]);
  });

  it("take away what they name, and nothing else", async function () {
    this.timeout(BED_WITHIN_MS);
    const lines = commands().filter((line) => line.startsWith("kubectl delete "));
    assert.equal(lines.length, 4);
    await bed.kubectl(["-n", namespace, "create", "secret", "generic", "pannier-ca"]);
    for (const line of lines) {
      const safe = line.startsWith("kubectl delete namespace ") ? line.replace("pannier-system", namespace) : line;
      assert.match(await typed(`${safe} --dry-run=server`), /\(server dry run\)|No resources found/);
    }
    for (const line of commands().filter((each) => each.startsWith("kubectl scale "))) await typed(line);
    const deployment = await bed.kubectl(["-n", namespace, "get", "deployment", "pannier-operator", "-o", "json"]);
    assert.equal(JSON.parse(deployment).spec.replicas, 2);
  });
});
