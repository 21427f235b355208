// The distribution API with a real API server: its tokens, its reviews, its pods, its watch, its Lease.
import assert from "node:assert/strict";
import { REPORT_PATH } from "#crds/distribution.ts";
import type { DistributionOptions } from "#operator/api/distribution.ts";
import { LeaseElector } from "#operator/kube/lease.ts";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import { freePort } from "#test/servers/free-port.ts";
import { Bench, entry, makeTrust, type StreamClient, type Trust } from "#test/unit/operator/api/bench.ts";
import { until } from "#test/wire/until.ts";
import { OperatorRights, PodWatch, SidecarPods } from "./sidecar-pods.ts";

const STREAMS = 500;
/** Five hundred pods are made and their tokens asked for. */
const MANY_WITHIN_MS = 120_000;

describeWithBed("distribution API on a real cluster", () => {
  let bed: Bed;
  let trust: Trust;
  let rights: OperatorRights;
  let shop: SidecarPods;
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    bed = await sharedBed();
    trust = await makeTrust();
    rights = await OperatorRights.grant(bed);
    shop = await SidecarPods.inFreshNamespace(bed);
  });
  after(async () => {
    shop.close();
    await rights.revoke();
    await trust.certificates.remove();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  /** A replica with no more rights than the operator's own; `port` 0 for any. */
  async function replica(options: Partial<DistributionOptions> & { port?: number } = {}): Promise<Bench> {
    const watch = await PodWatch.start(rights.kubeconfig);
    const { port = 0, ...more } = options;
    const bench = new Bench({ trust, kube: watch.client, pods: watch.cache, account: rights.account, ...more });
    bench.port = await bench.distribution.listen(port, "127.0.0.1");
    ends.push(async () => {
      await bench.close();
      await watch.close();
    });
    return bench;
  }

  async function closeLast(): Promise<void> {
    await ends.pop()?.();
  }

  it("gives a pod's token what its namespace and app id may have", async () => {
    const bench = await replica();
    await shop.create("cart", { "dapr.io/app-id": "cart", "dapr.io/config": "tracing" });
    bench.resources.set(entry("orders", { namespace: shop.namespace }));
    bench.resources.set(entry("carts", { namespace: shop.namespace, scopes: ["cart"] }));
    bench.resources.set(entry("tills", { namespace: shop.namespace, scopes: ["till"] }));
    bench.resources.set(entry("tracing", { namespace: shop.namespace, kind: "Configuration" }));
    bench.resources.set(entry("orders", { namespace: "default" }));
    const stream = await bench.open(await shop.token("cart"));
    await stream.synced();
    assert.deepEqual(stream.told, ["Component orders", "Component carts", "Configuration tracing", "synced"]);
  });

  it("ends a stream when its pod is deleted, and refuses the token from then on", async () => {
    const bench = await replica();
    await shop.create("gone", { "dapr.io/app-id": "gone" });
    const token = await shop.token("gone");
    const stream = await bench.open(token);
    await stream.synced();
    await shop.delete("gone");
    await stream.ended();
    assert.deepEqual(bench.ended, ["revoked"]);
    const again = await bench.open(token);
    await again.ended();
    assert.equal(again.status, 403);
    await shop.create("gone", { "dapr.io/app-id": "gone" });
    assert.equal((await bench.open(token)).status, 403, "the next pod of that name has another UID");
  });

  it("ends a stream when the app id of its pod is another", async () => {
    const bench = await replica();
    bench.resources.set(entry("tills", { namespace: shop.namespace, scopes: ["till"] }));
    await shop.create("renamed", { "dapr.io/app-id": "cart" });
    const token = await shop.token("renamed");
    const stream = await bench.open(token);
    await stream.synced();
    assert.deepEqual(stream.told, ["synced"]);
    await bed.kubectl(["-n", shop.namespace, "annotate", "--overwrite", "pod/renamed", "dapr.io/app-id=till"]);
    await stream.ended();
    const next = await bench.open(token);
    await next.synced();
    assert.deepEqual(next.told, ["Component tills", "synced"]);
  });

  it(`serves ${STREAMS} streams, and cuts off the one that takes nothing`, async function () {
    this.timeout(MANY_WITHIN_MS);
    const bench = await replica({ slowMs: 10_000 });
    const names = Array.from({ length: STREAMS }, (_, index) => `many-${index}`);
    await shop.createAll(names, (name) => ({ "dapr.io/app-id": name }));
    for (const name of names.slice(0, 10)) {
      bench.resources.set(entry(`of-${name}`, { namespace: shop.namespace, scopes: [name] }));
    }
    const tokens = await shop.tokens(names);
    const [slow = "", ...quick] = tokens;
    const stalled = await bench.open(slow, { isPaused: true });
    const streams: StreamClient[] = await Promise.all(quick.map((token) => bench.open(token)));
    await until("all are synced", () => streams.every(({ told }) => told.includes("synced")));
    assert.deepEqual(streams[0]?.told, ["Component of-many-1", "synced"]);
    assert.deepEqual(streams.at(-1)?.told, ["synced"]);
    assert.equal(bench.distribution.streams, STREAMS);
    for (let i = 0; i < 20; i++) {
      const resource = { text: "x".repeat(1_000_000) };
      bench.resources.set(entry(`big-${i}`, { namespace: shop.namespace, resource, scopes: ["many-0", "many-1"] }));
    }
    bench.resources.set(entry("orders", { namespace: shop.namespace }));
    await until("the slow one is cut off", () => bench.ended.includes("slow"));
    await until("all others have the change", () => streams.every(({ told }) => told.includes("Component orders")));
    stalled.close();
    assert.deepEqual(bench.ended, ["slow"]);
  });

  it("gives everything anew after a restart", async () => {
    const port = await freePort();
    const first = await replica({ port });
    await shop.create("patient", { "dapr.io/app-id": "patient" });
    const token = await shop.token("patient");
    first.resources.set(entry("orders", { namespace: shop.namespace }));
    const before = await first.open(token);
    await before.synced();
    await first.distribution.drain(50);
    await closeLast();
    await before.ended();
    const second = await replica({ port });
    second.resources.set(entry("carts", { namespace: shop.namespace }));
    const after = await second.open(token);
    await after.synced();
    assert.deepEqual(after.told, ["Component carts", "synced"]);
  });

  it("brings a follower's reports to the leader that the Lease names", async () => {
    const home = await SidecarPods.inFreshNamespace(bed, rights.account);
    const watch = await PodWatch.start(bed.kubeconfig);
    ends.push(async () => {
      await watch.close();
      home.close();
    });
    const benches: Bench[] = [];
    for (const name of ["operator-1", "operator-2"]) {
      await home.create(name, {});
      const token = await home.token(name);
      const port = await freePort();
      const elector = new LeaseElector(watch.context, {
        namespace: home.namespace,
        name: "pannier-operator",
        identity: name,
        address: `127.0.0.1:${port}`,
      });
      const account = { ...rights.account, namespace: home.namespace };
      const bench = await replica({ leadership: elector, account, readToken: () => Promise.resolve(token), port });
      bench.resources.set(entry("orders", { namespace: shop.namespace }));
      benches.push(bench);
      elector.start();
      ends.push(() => elector.close());
      await until("somebody leads", () => elector.holder() !== null);
    }
    const [leader, follower] = benches;
    assert.ok(leader !== undefined && follower !== undefined);
    await shop.create("reporting", { "dapr.io/app-id": "reporting" });
    const token = await shop.token("reporting");
    await (await follower.open(token)).synced();
    const ready = { name: "orders", uid: "u", generation: 3, state: "ready", reachable: true, message: null };
    const text = JSON.stringify({ components: [ready] });
    const answer = await follower.ask("POST", REPORT_PATH, token, { text });
    answer.resume();
    assert.equal(answer.statusCode, 204);
    await until("the leader knows", () => leader.reports.of(shop.namespace, "orders").length === 1);
    const [report] = leader.reports.of(shop.namespace, "orders");
    assert.deepEqual([report?.podName, report?.appId, report?.generation], ["reporting", "reporting", 3]);
  });
});
