import assert from "node:assert/strict";
import { createLog } from "#kit/log.ts";
import { Authorizer, QUESTIONS_EACH_MAX } from "#operator/api/authorize.ts";
import { isRefusal } from "#operator/api/refusal.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { HandMadeCluster, kubeError } from "./hand-made-cluster.ts";

const ADDRESS = "10.0.0.1";

describe("authorization of a sidecar", () => {
  let cluster: HandMadeCluster;
  let clock: ManualClock;
  let authorizer: Authorizer;

  beforeEach(() => {
    cluster = new HandMadeCluster();
    clock = new ManualClock();
    const about = { level: "debug", json: true, appId: "", instance: "", version: "", nowMs: () => 0 } as const;
    authorizer = new Authorizer({ kube: cluster, clock, log: createLog({ ...about, write: () => undefined }) });
  });

  async function status(token: string, address = ADDRESS): Promise<number> {
    const answer = await authorizer.sidecar({ token, address });
    return isRefusal(answer) ? answer.status : 200;
  }

  it("reads app id and Configuration from the pod", async () => {
    const cases: readonly (readonly [Parameters<HandMadeCluster["put"]>[0], string, string])[] = [
      [{ annotations: { "dapr.io/app-id": "cart", "dapr.io/config": "tracing" } }, "cart", "tracing"],
      [{ annotations: { "pannier.io/app-id": "cart", "pannier.io/config": "tracing" } }, "cart", "tracing"],
      [{ annotations: { "pannier.io/app-id": "cart", "dapr.io/app-id": "cart" } }, "cart", ""],
      [{ annotations: {}, labels: { "dapr.io/app-id": "cart" } }, "cart", ""],
      [{ annotations: {}, name: "cart-7" }, "cart-7", ""],
    ];
    for (const [parts, appId, configuration] of cases) {
      const answer = await authorizer.sidecar({ token: cluster.token(cluster.put(parts)), address: ADDRESS });
      assert.ok(!isRefusal(answer));
      assert.deepEqual([answer.sidecar.appId, answer.sidecar.configuration], [appId, configuration]);
      assert.equal(answer.sidecar.namespace, "shop");
    }
  });

  it("refuses a pod whose two prefixes name two app ids", async () => {
    const pod = cluster.put({ annotations: { "dapr.io/app-id": "cart", "pannier.io/app-id": "till" } });
    const answer = await authorizer.sidecar({ token: cluster.token(pod), address: ADDRESS });
    assert.ok(isRefusal(answer));
    assert.match(answer.sentence, /dapr\.io\/app-id and pannier\.io\/app-id differ/);
  });

  it("asks about a good token once a minute, and about its pod each time", async () => {
    const token = cluster.token(cluster.put());
    assert.equal(await status(token), 200);
    await clock.advance(59_000);
    assert.equal(await status(token), 200);
    assert.deepEqual([cluster.reviews.length, cluster.podsAsked.length], [1, 2]);
    await clock.advance(1_000);
    await status(token);
    assert.equal(cluster.reviews.length, 2);
  });

  it("sees at once that the pod of a remembered token is gone", async () => {
    const pod = cluster.put();
    const token = cluster.token(pod);
    assert.equal(await status(token), 200);
    cluster.remove(pod);
    assert.equal(await status(token), 403);
  });

  it("asks about a refused token again after ten seconds", async () => {
    assert.equal(await status("not.known.yet"), 401);
    assert.equal(await status("not.known.yet"), 401);
    assert.equal(cluster.reviews.length, 1);
    await clock.advance(10_000);
    assert.equal(await status("not.known.yet"), 401);
    assert.equal(cluster.reviews.length, 2);
  });

  it("asks once for many at a time with one token", async () => {
    const token = cluster.token(cluster.put());
    await Promise.all(Array.from({ length: 50 }, () => status(token)));
    assert.equal(cluster.reviews.length, 1);
  });

  it("does not ask about what is no token", async () => {
    for (const token of ["", "one", "one.two", "a.b.c.d", `a.b.${"c".repeat(20_000)}`]) {
      assert.equal(await status(token), 401);
    }
    assert.equal(cluster.reviews.length, 0);
  });

  it("does not remember that the API server was away", async () => {
    const token = cluster.token(cluster.put());
    cluster.failure = kubeError(0);
    assert.equal(await status(token), 503);
    cluster.failure = null;
    assert.equal(await status(token), 200);
  });

  it("makes an address wait that shows bad tokens, and neither good ones behind it nor others", async () => {
    const token = cluster.token(cluster.put());
    assert.equal(await status(token), 200);
    for (let i = 0; i < 20; i++) assert.equal(await status(`guess.no.${i}`), 401);
    assert.equal(await status("guess.no.21"), 429);
    assert.equal(cluster.reviews.length, 21);
    assert.equal(await status(token), 200);
    assert.equal(await status("guess.no.22", "10.0.0.2"), 401);
    await clock.advance(10_000);
    assert.equal(await status("guess.no.23"), 401);
  });

  it("takes a replica of the operator by its account, and names it by its pod", async () => {
    const own = { namespace: "pannier-system", serviceAccount: "pannier-operator" };
    const pod = cluster.put({ namespace: "pannier-system", name: "operator-1" });
    const token = cluster.token(pod, { account: "pannier-operator" });
    assert.deepEqual(await authorizer.replica({ token, address: ADDRESS }, own), { replica: pod.metadata.uid });
    for (const other of [cluster.token(pod), cluster.token(cluster.put(), { account: "pannier-operator" })]) {
      const answer = await authorizer.replica({ token: other, address: ADDRESS }, own);
      assert.ok(isRefusal(answer) && answer.status === 403);
    }
  });

  it("asks about so many tokens of one address at a time, and about those of others all the same", async () => {
    const asked = Array.from({ length: QUESTIONS_EACH_MAX + 10 }, (_, nth) => status(`head.${nth}.tail`));
    const good = status(cluster.token(cluster.put()), "10.0.0.2");
    const answers = await Promise.all(asked);
    assert.equal(answers.filter((each) => each === 429).length, 10);
    assert.equal(cluster.reviews.length, QUESTIONS_EACH_MAX + 1);
    assert.equal(await good, 200);
  });
});
