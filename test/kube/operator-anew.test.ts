// A whole operator that is started anew while a sidecar serves: neither the sidecar nor the status of its Components may
// take that for news.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "#test/servers/free-port.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { installCrds } from "../cluster/crds.ts";
import { manifest, until, untilShown } from "./component-operator.ts";
import { SidecarPods } from "./sidecar-pods.ts";
import { type PodSidecar, type Replica, startReplica, startSidecarOf } from "./whole-operator.ts";

const START_WITHIN_MS = 240_000;
const BACK_WITHIN_MS = 120_000;
/** Several times what a new leader takes for its first round of writes. */
const FIRST_ROUND_MS = 3_000;

describeWithBed("an operator that is started anew", () => {
  let bed: Bed;
  let own: SidecarPods;
  let apps: SidecarPods;
  let folder: string;
  let port: number;
  let replica: Replica;
  let sidecar: PodSidecar;

  const startOperator = async (flags: readonly string[] = []): Promise<void> => {
    const tokenFile = join(folder, "token");
    const { kubeconfig } = bed;
    const all = ["--pod-ip=127.0.0.1", `--api-port=${port}`, ...flags];
    replica = await startReplica({
      kubeconfig,
      namespace: own.namespace,
      podName: "operator-0",
      tokenFile,
      flags: all,
    });
    await until(() => replica.operator.unready() === null, "the operator is ready");
  };
  const health = async () => JSON.parse((await ask(sidecar.wire, "GET", "/pannier/v1/health")).text);

  before(async function () {
    this.timeout(START_WITHIN_MS);
    bed = await sharedBed();
    await installCrds(bed);
    const account = { namespace: await bed.namespace(), serviceAccount: "pannier-operator" };
    own = await SidecarPods.inFreshNamespace(bed, account);
    apps = await SidecarPods.inFreshNamespace(bed);
    folder = await mkdtemp(join(tmpdir(), "pannier-operator-"));
    port = await freePort();
    await own.create("operator-0", {});
    await writeFile(join(folder, "token"), await own.token("operator-0"));
    await startOperator();
    const { namespace } = apps;
    await bed.kubectl(["apply", "-f", "-"], manifest({ name: "statestore", namespace }));
    await apps.create("app-1", { "dapr.io/app-id": "app", "pannier.io/injected-by": "test" });
    await until(
      async () => (await bed.tryKubectl(["-n", namespace, "get", "configmap", "pannier-trust-bundle"])).status === 0,
      "the trust bundle is in the namespace",
    );
    sidecar = await startSidecarOf(bed, apps, { pod: "app-1", appId: "app", port });
    await untilShown(bed, namespace, "statestore", "True Ready");
  });
  after(async () => {
    await sidecar.stop();
    await replica.operator.close();
    for (const pods of [own, apps]) pods.close();
    await rm(folder, { recursive: true });
  });

  it("leaves the status as it is while the sidecars come back", async function () {
    this.timeout(START_WITHIN_MS + BACK_WITHIN_MS);
    const shown = async () => {
      const args = ["-n", apps.namespace, "get", "components", "statestore", "-o", "json"];
      const { metadata, status } = JSON.parse(await bed.kubectl(args));
      return { resourceVersion: metadata.resourceVersion, status };
    };
    const before = await shown();
    await replica.operator.close();
    await until(async () => (await health()).operator.connected === false, "the sidecar is alone");
    await startOperator();
    await until(async () => (await health()).operator.connected === true, "the sidecar is back", BACK_WITHIN_MS);
    await new Promise((resolve) => setTimeout(resolve, FIRST_ROUND_MS));
    assert.deepEqual(await shown(), before);
  });

  it("takes nothing from a sidecar whose namespace it does not watch any more", async function () {
    this.timeout(START_WITHIN_MS + BACK_WITHIN_MS);
    await save(sidecar.wire, "k", "1");
    await replica.operator.close();
    await startOperator([`--watch-namespaces=${own.namespace}`]);
    await until(
      async () => /refuses this pod's token \(403\)/.test((await health()).operator.message) || "not refused",
      "the sidecar is refused",
      BACK_WITHIN_MS,
    );
    assert.equal((await ask(sidecar.wire, "GET", `${STORE}/k`)).text, "1");
  });
});
