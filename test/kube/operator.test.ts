// The operator as a whole, in two replicas, with the API server calling its webhook and sidecars taking their Components
// from it: what each part proves for itself, put together.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startComponent } from "#test/servers/pluggable.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { installCrds } from "../cluster/crds.ts";
import { manifest, setSecret, until, untilShown } from "./component-operator.ts";
import { SidecarPods } from "./sidecar-pods.ts";
import { configurationOf, create, removeConfiguration } from "./webhook-configuration.ts";
import { type Replica, startReplica, startSidecarOf } from "./whole-operator.ts";

const START_WITHIN_MS = 240_000;
const HANDED_OVER_WITHIN_MS = 240_000;

describeWithBed("the operator", () => {
  const webhookName = `pannier-whole-${process.pid}`;
  let bed: Bed;
  let own: SidecarPods;
  let apps: SidecarPods;
  let folder: string;
  let replicas: Replica[];

  before(async function () {
    this.timeout(START_WITHIN_MS);
    bed = await sharedBed();
    await installCrds(bed);
    const namespace = await bed.namespace();
    own = await SidecarPods.inFreshNamespace(bed, { namespace, serviceAccount: "pannier-operator" });
    apps = await SidecarPods.inFreshNamespace(bed);
    folder = await mkdtemp(join(tmpdir(), "pannier-operator-"));
    replicas = [];
    for (const podName of ["operator-0", "operator-1"]) {
      await own.create(podName, {});
      const tokenFile = join(folder, podName);
      await writeFile(tokenFile, await own.token(podName));
      const flags = [`--webhook-name=${webhookName}`, "--pod-ip=127.0.0.1"];
      const { kubeconfig } = bed;
      replicas.push(await startReplica({ kubeconfig, namespace: own.namespace, podName, tokenFile, flags }));
    }
    const { webhookPort } = first().operator;
    const place = { name: webhookName, namespace: apps.namespace, port: webhookPort };
    const { webhooks, ...rest } = configurationOf(place) as { webhooks: object[] };
    await create(bed, { ...rest, webhooks: webhooks.map((each) => ({ ...each, reinvocationPolicy: "IfNeeded" })) });
    await until(() => replicas.every(({ operator }) => operator.unready() === null), "both replicas are ready");
    await until(
      async () => (await dryRun("probe", { "dapr.io/enabled": "true" })).includes("daprd"),
      "pods are injected",
    );
  });
  after(async () => {
    await removeConfiguration(bed, webhookName);
    await Promise.all(replicas.map(({ operator }) => operator.close()));
    for (const pods of [own, apps]) pods.close();
    await rm(folder, { recursive: true });
  });

  const first = (): Replica => replicas[0] ?? assert.fail("no replica");
  const pod = (name: string, annotations: object): string =>
    JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, annotations },
      spec: { containers: [{ name: "app", image: "none" }] },
    });
  const dryRun = async (name: string, annotations: object): Promise<string> => {
    const args = ["-n", apps.namespace, "create", "--dry-run=server", "-o", "json", "-f", "-"];
    const { status, stdout, stderr } = await bed.tryKubectl(args, pod(name, annotations));
    return status === 0 ? stdout : stderr;
  };

  it("gives annotated pods a sidecar first of all, however often the API server asks", async () => {
    const made = JSON.parse(await dryRun("orders", { "dapr.io/enabled": "true", "dapr.io/app-id": "orders" }));
    const { initContainers, containers } = made.spec;
    assert.deepEqual(
      [initContainers.length, initContainers[0].name, initContainers[0].restartPolicy],
      [1, "daprd", "Always"],
    );
    // The API server's own plugin mounted its token into the new container and had the webhook asked again.
    const mounts: { mountPath: string }[] = initContainers[0].volumeMounts;
    assert.ok(mounts.some(({ mountPath }) => mountPath === "/var/run/secrets/kubernetes.io/serviceaccount"));
    const names = containers[0].env.map((each: { name: string }) => each.name);
    assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
    assert.ok(names.includes("DAPR_HTTP_PORT"));
    assert.match(
      initContainers[0].env.find((each: { name: string }) => each.name === "DAPR_TRUST_ANCHORS").value,
      /BEGIN CERT/,
    );
  });

  it("leaves other pods alone, and denies what it cannot follow", async () => {
    assert.ok(!(await dryRun("plain", {})).includes("daprd"));
    const refused = await dryRun("wrong", {
      "dapr.io/enabled": "true",
      "dapr.io/app-id": "x",
      "dapr.io/metrics-port": "many",
    });
    assert.match(refused, /dapr\.io\/metrics-port: got "many", want/);
  });

  it("takes a Component from kubectl to a sidecar and back to kubectl, its password too", async function () {
    this.timeout(HANDED_OVER_WITHIN_MS);
    const { namespace } = apps;
    await setSecret(bed, namespace, "redis", { password: "s3cret-planted" });
    const metadata = [{ name: "keyPrefix", secretKeyRef: { name: "prefix", key: "word" } }];
    await bed.kubectl(["apply", "-f", "-"], manifest({ name: "statestore", namespace, metadata }));
    await untilShown(bed, namespace, "statestore", "False SecretNotFound");
    await setSecret(bed, namespace, "prefix", { word: "name" });
    await untilShown(bed, namespace, "statestore", "Unknown NoSidecar");
    await apps.create("app-1", { "dapr.io/enabled": "true", "dapr.io/app-id": "app" });
    await until(
      async () => (await bed.tryKubectl(["-n", namespace, "get", "configmap", "pannier-trust-bundle"])).status === 0,
      "the trust bundle is in the namespace",
    );
    // By way of the second replica, which may not be the leader: it tells the other one.
    const sidecars = [];
    for (const { operator } of replicas) {
      sidecars.push(await startSidecarOf(bed, apps, { pod: "app-1", appId: "app", port: operator.apiPort }));
    }
    try {
      for (const { wire } of sidecars) {
        await save(wire, "k", "1");
        assert.equal((await ask(wire, "GET", `${STORE}/k`)).text, "1");
      }
      await untilShown(bed, namespace, "statestore", "True Ready");
    } finally {
      for (const sidecar of sidecars) await sidecar.stop();
    }
    const said = replicas.flatMap(({ lines }) => lines).join("");
    assert.ok(!said.includes("s3cret-planted"));
  });

  it("puts the container of a pluggable component into a pod, and knows its type", async function () {
    this.timeout(HANDED_OVER_WITHIN_MS);
    const { namespace } = apps;
    const component = JSON.parse(manifest({ name: "mine", namespace, type: "state.my-store" }));
    const container = JSON.stringify({ name: "my-store", image: "registry.example/my-store:1" });
    component.metadata.annotations = { "dapr.io/component-container": container };
    await bed.kubectl(["apply", "-f", "-"], JSON.stringify({ ...component, scopes: ["orders"] }));
    await untilShown(bed, namespace, "mine", "Unknown NoSidecar");
    const asks = { "dapr.io/enabled": "true", "dapr.io/inject-pluggable-components": "true" };
    const made = JSON.parse(await dryRun("orders", { ...asks, "dapr.io/app-id": "orders" }));
    const names = made.spec.initContainers.map(({ name }: { name: string }) => name);
    assert.deepEqual(names, ["my-store", "daprd"]);
    const [{ env, restartPolicy }] = made.spec.initContainers;
    assert.deepEqual(
      [env, restartPolicy],
      [[{ name: "DAPR_COMPONENT_SOCKETS_FOLDER", value: "/tmp/dapr-components-sockets" }], "Always"],
    );
    const other = JSON.parse(await dryRun("stock", { ...asks, "dapr.io/app-id": "stock" }));
    assert.equal(other.spec.initContainers.length, 1);
  });

  it("brings a sidecar the Component of a program that comes late: not ready before, and ready from then on", async function () {
    this.timeout(HANDED_OVER_WITHIN_MS);
    const { namespace } = apps;
    const program = await startComponent("late-store");
    await program.kill9();
    const { spec, ...component } = JSON.parse(manifest({ name: "late", namespace, type: "state.late-store" }));
    const text = JSON.stringify({ ...component, spec: { ...spec, initTimeout: "3s" }, scopes: ["late"] });
    await bed.kubectl(["apply", "-f", "-"], text);
    // Nothing but the pod says that there is such a program.
    await untilShown(bed, namespace, "late", "Unknown TypeUnknown");
    await apps.create("late-1", { "dapr.io/enabled": "true", "dapr.io/app-id": "late" });
    const { apiPort: port } = first().operator;
    const more = { componentsSocketsFolder: program.folder };
    const { wire, stop } = await startSidecarOf(bed, apps, { pod: "late-1", appId: "late", port, more });
    try {
      const health = await ask(wire, "GET", "/v1.0/healthz/outbound");
      assert.equal(health.status, 500, health.text);
      assert.match(health.text, /component late: .*init timeout for component late exceeded after 3s/);
      await untilShown(bed, namespace, "late", "False NotLoaded");
      await program.restart();
      await until(async () => (await ask(wire, "GET", "/v1.0/healthz/outbound")).status === 204, "it is ready");
      await save(wire, "k", "1", "/v1.0/state/late");
      await untilShown(bed, namespace, "late", "True Ready");
    } finally {
      await stop();
      await program.stop();
    }
  });

  it("goes on when the leader ends: the other one writes status", async function () {
    this.timeout(HANDED_OVER_WITHIN_MS);
    const { namespace } = apps;
    const metrics = (replica: Replica): Promise<string> =>
      fetch(`http://127.0.0.1:${replica.operator.metricsPort}/metrics`).then((answer) => answer.text());
    const leads = await Promise.all(
      replicas.map(async (each) => /^pannier_operator_leader 1$/m.test(await metrics(each))),
    );
    assert.deepEqual(leads.toSorted(), [false, true]);
    const leader = replicas[leads.indexOf(true)] ?? assert.fail("no leader");
    await leader.operator.close();
    replicas = replicas.filter((each) => each !== leader);
    await bed.kubectl(["apply", "-f", "-"], manifest({ name: "later", namespace, type: "sate.redis" }));
    await untilShown(bed, namespace, "later", "False TypeUnknown");
  });

  it("says on its ports how it is", async () => {
    const { healthPort, metricsPort } = first().operator;
    for (const path of ["healthz", "readyz"]) {
      const answer = await fetch(`http://127.0.0.1:${healthPort}/${path}`);
      assert.deepEqual([answer.status, await answer.text()], [200, "ok\n"]);
    }
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    for (const series of [
      'pannier_operator_certificate_expiry_timestamp_seconds{certificate="ca"}',
      'pannier_operator_cached_objects{resource="pods"}',
      "pannier_operator_leader 1",
    ]) {
      assert.ok(metrics.includes(series), series);
    }
    // Components of other namespaces count too, and other files leave some behind.
    assert.match(metrics, /^pannier_operator_components\{ready="False"\} [1-9]/m);
  });
});
