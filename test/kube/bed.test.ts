// The test bed itself: what every test on it relies on.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";

/** Stopping and starting an API server under load takes a while, in milliseconds. */
const RESTART_WITHIN_MS = 240_000;

describeWithBed("test bed", () => {
  let bed: Bed;
  before(async () => {
    bed = await sharedBed();
  });

  it("is one for all callers", async () => {
    assert.equal(await sharedBed(), bed);
  });

  it("answers kubectl, and says what kubectl says when that fails", async () => {
    assert.match(await bed.kubectl(["get", "namespaces", "-o", "name"]), /^namespace\/default$/m);
    await assert.rejects(
      bed.kubectl(["get", "nothing-of-this-kind"]),
      /kubectl get nothing-of-this-kind ended with 1: .*doesn't have/s,
    );
    const { status, stderr } = await bed.tryKubectl(["create", "-f", "-"], "apiVersion: v1\nkind: Nothing\n");
    assert.equal(status, 1);
    assert.match(stderr, /Nothing/);
  });

  it("gives each caller a namespace of his own in which pods can be made", async () => {
    const [one, other] = [await bed.namespace(), await bed.namespace()];
    assert.notEqual(one, other);
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "app" },
      spec: { containers: [{ name: "app", image: "none" }] },
    };
    await bed.kubectl(["-n", one, "create", "-f", "-"], JSON.stringify(pod));
    assert.equal(await bed.kubectl(["-n", other, "get", "pods", "-o", "name"]), "");
  });

  it("says whether controllers run: then a Deployment gets its pods, and a deleted namespace goes away", async () => {
    const namespace = await bed.namespace();
    const args = ["-n", namespace];
    await bed.kubectl([...args, "create", "deployment", "app", "--image=none", "--replicas=2"]);
    if (!bed.hasControllers) {
      assert.equal(await bed.kubectl([...args, "get", "pods", "-o", "name"]), "");
      return;
    }
    await bed.kubectl([
      ...args,
      "wait",
      "deployment/app",
      "--for=jsonpath={.status.unavailableReplicas}=2",
      "--timeout=15s",
    ]);
    assert.equal((await bed.kubectl([...args, "get", "pods", "-o", "name"])).trim().split("\n").length, 2);
    await bed.kubectl(["delete", "namespace", namespace, "--timeout=15s"]);
  });

  it("lets a test be another user, who may do nothing at first", async () => {
    const kubeconfig = await bed.kubeconfigFor("jane", ["devs", "ops"]);
    const whoami = await bed.kubectl(["auth", "whoami", "-o", "json", `--kubeconfig=${kubeconfig}`]);
    const { username, groups } = JSON.parse(whoami).status.userInfo;
    assert.deepEqual([username, groups], ["jane", ["devs", "ops", "system:authenticated"]]);
    const { stderr } = await bed.tryKubectl(["get", "secrets", `--kubeconfig=${kubeconfig}`]);
    assert.match(stderr, /"jane" cannot list/);
    assert.doesNotMatch(readFileSync(kubeconfig, "utf8"), /bed-admin/);
  });

  it("stops the API server and starts it again with what it had, at the same address", async function () {
    this.timeout(RESTART_WITHIN_MS);
    if (!bed.isOwn) {
      await assert.rejects(bed.stopApiServer(), /is not ours to stop/);
      return;
    }
    const namespace = await bed.namespace();
    await bed.stopApiServer();
    const { status } = await bed.tryKubectl(["get", "namespaces", "--request-timeout=2s"]);
    assert.equal(status, 1);
    await bed.startApiServer();
    assert.equal(await bed.kubectl(["get", "namespace", namespace, "-o", "name"]), `namespace/${namespace}\n`);
  });
});
