// The golden pods on a real API server: it takes every one that was injected, and what it makes of them is injected for
// good. Nothing is created; the server is asked for dry runs.
import assert from "node:assert/strict";
import { decide } from "#operator/inject/decide.ts";
import type { Pod } from "#operator/inject/object.ts";
import { patchOf } from "#operator/inject/patch.ts";
import { defaultSettings } from "#operator/inject/settings.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { goldenCases, NAMESPACE, settingsOf } from "../golden/cases.ts";

/** They ask themselves for what the level restricted forbids: no seccomp profile, ports of the host. */
const BEYOND = ["other-image", "host-network"];

describeWithBed("golden pods on an API server", () => {
  let bed: Bed;
  let namespace: string;

  before(async () => {
    bed = await sharedBed();
    namespace = await bed.namespace();
    await bed.kubectl(["label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted"]);
  });

  /** What the server would store, and what it warns of. */
  async function dryRun(pod: Pod): Promise<{ readonly stored: Pod; readonly warnings: string }> {
    const argv = ["create", "--dry-run=server", "-o", "json", "-n", namespace, "-f", "-"];
    const { status, stdout, stderr } = await bed.tryKubectl(argv, JSON.stringify(pod));
    assert.equal(status, 0, stderr);
    return { stored: JSON.parse(stdout), warnings: stderr };
  }

  for (const golden of goldenCases()) {
    const settings = settingsOf(golden);
    const decision = decide(golden.pod, NAMESPACE, settings);
    if (decision.outcome !== "inject") continue;

    it(`takes ${golden.name}, whose sidecar passes the level restricted, and is done with it`, async () => {
      const { stored, warnings } = await dryRun(decision.pod);
      // The server names each container that violates the level.
      if (decision.reason !== "already-injected") assert.equal(/"daprd"/.test(warnings), BEYOND.includes(golden.name));
      const again = decide(stored, NAMESPACE, settings);
      assert.ok(again.outcome === "inject");
      assert.deepEqual(patchOf(stored, again.pod), []);
    });
  }

  it("takes a pod whose amounts as a whole it had filled in before injection, as a webhook sees it", async () => {
    const resources = { requests: { cpu: "20m", memory: "32Mi" } };
    const { stored } = await dryRun({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "orders", annotations: { "dapr.io/enabled": "true" } },
      spec: { resources: { limits: { memory: "64Mi" } }, containers: [{ name: "app", image: "x", resources }] },
    });
    assert.deepEqual(stored.spec.resources, { limits: { memory: "64Mi" }, requests: resources.requests });
    const decision = decide(stored, NAMESPACE, defaultSettings("pannier-system"));
    assert.ok(decision.outcome === "inject", decision.sentence);
    await dryRun(decision.pod);
    // The app's own request is the whole pod's now, so nothing is left for one of the sidecar.
    const { metadata } = stored;
    const annotations = { ...metadata?.annotations, "dapr.io/sidecar-cpu-request": "1m" };
    const asking = { ...stored, metadata: { ...metadata, annotations } };
    assert.equal(decide(asking, NAMESPACE, defaultSettings("pannier-system")).outcome, "deny");
  });

  it("names a container that violates the level, so that the tests above can fail", async () => {
    const { warnings } = await dryRun({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "x" },
      spec: { containers: [{ name: "daprd", image: "x" }] },
    });
    assert.match(warnings, /"daprd"/);
  });
});
