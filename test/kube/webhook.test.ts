// The webhook as a real API server calls it.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "#kit/clock.ts";
import { issueAuthority, issueLeaf } from "#operator/certificates/issue.ts";
import type { CertificateSource } from "#operator/certificates/source.ts";
import type { AdmissionRequest, Admit } from "#operator/webhook/review.ts";
import { startWebhook, type Webhook } from "#operator/webhook/server.ts";
import { keepLog } from "#test/unit/operator/certificates/log-lines.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { configurationOf, create, podOf, removeConfiguration, until } from "./webhook-configuration.ts";

const HOUR_MS = 3_600_000;
/** Longer than the API server takes to hear of a change, on a busy machine too. */
const DRAIN_MS = 20_000;
const validity = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };
const ca = await issueAuthority(validity);
const source: CertificateSource = {
  current: { ...(await issueLeaf(["localhost"], ca, validity)), expiresAtMs: validity.untilMs },
  trustAnchors: ca.certificatePem,
  onChange: () => () => undefined,
  close: () => Promise.resolve(),
};
const mark = { op: "add", path: "/metadata/labels", value: { injected: "yes" } };

describeWithBed("webhook that the API server calls", () => {
  const name = `pannier-webhook-${process.pid}`;
  const clock: Clock = systemClock;
  const { log } = keepLog();
  let bed: Bed;
  let namespace: string;
  let webhook: Webhook;
  let admit: Admit;
  const seen: AdmissionRequest[] = [];

  before(async () => {
    bed = await sharedBed();
    namespace = await bed.namespace();
    admit = () => ({ kind: "allow", patch: [mark], reason: "injected", warnings: [] });
    const decide: Admit = (request) => {
      seen.push(request);
      return admit(request);
    };
    const metrics = { admitted: () => undefined };
    webhook = await startWebhook({ source, admit: decide, port: 0, drainMs: DRAIN_MS, metrics, clock, log });
    const configuration = configurationOf({ name, namespace, port: webhook.port });
    const caBundle = Buffer.from(ca.certificatePem).toString("base64");
    await create(
      bed,
      JSON.parse(JSON.stringify(configuration).replace('"clientConfig":{', `$&"caBundle":"${caBundle}",`)),
    );
    await until("the API server calls the webhook", async () => (await dryRun("probe")).stdout.includes("yes"));
  });
  after(async () => {
    await removeConfiguration(bed, name);
    await webhook.drain();
  });

  const dryRun = (pod: string): ReturnType<Bed["tryKubectl"]> =>
    bed.tryKubectl(
      ["-n", namespace, "create", "--dry-run=server", "-o", "jsonpath={.metadata.labels.injected}", "-f", "-"],
      JSON.stringify(podOf(pod)),
    );

  it("patches a pod, and is told what it goes by", async () => {
    seen.length = 0;
    await bed.kubectl(["-n", namespace, "create", "-f", "-"], JSON.stringify(podOf("app")));
    const labels = await bed.kubectl([
      "-n",
      namespace,
      "get",
      "pod",
      "app",
      "-o",
      "jsonpath={.metadata.labels.injected}",
    ]);
    assert.equal(labels, "yes");
    const { object, uid, ...rest } = seen[0] ?? assert.fail("not called");
    assert.deepEqual(rest, {
      kind: { group: "", version: "v1", kind: "Pod" },
      operation: "CREATE",
      namespace,
      name: "app",
      userName: rest.userName,
      dryRun: false,
    });
    assert.notEqual(uid, "");
    assert.match(JSON.stringify(object), /"image":"none"/);
  });

  it("leaves a pod alone that needs nothing", async () => {
    admit = () => ({ kind: "allow", patch: null, reason: "not-enabled", warnings: [] });
    assert.deepEqual(await dryRun("plain"), { status: 0, stdout: "", stderr: "" });
  });

  it("shows its warnings to whoever applies a manifest, whatever is in them", async () => {
    const warnings = ["annotation dapr.io/app-prot: unknown,\nwant dapr.io/app-port", "x".repeat(300), "ü 🧺 \u0007"];
    admit = () => ({ kind: "allow", patch: null, reason: "not-enabled", warnings });
    const { stderr, status } = await dryRun("warned");
    assert.equal(status, 0);
    assert.match(stderr, /Warning: annotation dapr\.io\/app-prot: unknown, want dapr\.io\/app-port\n/);
    assert.match(stderr, /Warning: x{255}…\n/);
    assert.match(stderr, /Warning: ü 🧺/);
  });

  it("denies a pod with its sentence", async () => {
    const message = 'annotation dapr.io/app-port: got "eighty", want a port';
    admit = () => ({ kind: "deny", message, code: 422, reason: "bad-port", warnings: [] });
    const { stderr, status } = await dryRun("denied");
    assert.equal(status, 1);
    assert.match(
      stderr,
      /admission webhook "injector\.pannier\.io" denied the request: annotation dapr\.io\/app-port: got "eighty", want a port/,
    );
  });

  it("denies a pod when the injector fails, and goes on", async () => {
    admit = () => {
      throw new Error("planted");
    };
    const { stderr, status } = await dryRun("failed");
    assert.equal(status, 1);
    assert.match(stderr, /Pannier's injector failed on this object/);
    assert.equal(stderr.includes("planted"), false);
    admit = () => ({ kind: "allow", patch: [mark], reason: "injected", warnings: [] });
    assert.equal((await dryRun("next")).stdout, "yes");
  });

  it("fails no admission while one replica drains and another takes over", async () => {
    const metrics = { admitted: () => undefined };
    const second = await startWebhook({ source, admit, port: 0, drainMs: 0, metrics, clock, log });
    try {
      const drained = webhook.drain();
      // What a Service does when the endpoint is no longer ready, done by hand: the others are called.
      const url = `https://localhost:${second.port}/mutate`;
      const patch = JSON.stringify([{ op: "replace", path: "/webhooks/0/clientConfig/url", value: url }]);
      const patched = bed.kubectl(["patch", "mutatingwebhookconfiguration", name, "--type=json", "-p", patch]);
      let isOver = false;
      const end = Promise.all([drained, patched]).then(() => {
        isOver = true;
      });
      let admissions = 0;
      while (!isOver) {
        const { stdout, stderr } = await dryRun(`during-${admissions++}`);
        assert.equal(stdout, "yes", stderr);
      }
      await end;
      assert.ok(admissions > 1);
      assert.equal((await dryRun("after")).stdout, "yes");
    } finally {
      await removeConfiguration(bed, name);
      await second.drain();
    }
  });
});
