// The rows of docs/differences.md on what operator and sidecars say to each other.
import assert from "node:assert/strict";
import { REPORT_PATH } from "#crds/distribution.ts";
import { Bench, entry, makeTrust, type Trust } from "#test/unit/operator/api/bench.ts";

describe("differences between operator and sidecars", () => {
  let trust: Trust;
  let bench: Bench;

  before(async () => {
    trust = await makeTrust();
  });
  after(() => trust.certificates.remove());
  beforeEach(async () => {
    bench = await new Bench({ trust }).start();
  });
  afterEach(() => bench.close());

  it("K40: a sidecar has the app id of its live pod, and loses its stream with the pod", async () => {
    const { cluster, resources } = bench;
    resources.set(entry("tills", { scopes: ["till"] }));
    const token = cluster.token(cluster.put({ annotations: { "dapr.io/app-id": "cart" } }));
    const asCart = await bench.open(token);
    await asCart.synced();
    const pod = cluster.put({ annotations: { "dapr.io/app-id": "till" } });
    await asCart.ended();
    const asTill = await bench.open(token);
    await asTill.synced();
    assert.deepEqual([asCart.told, asTill.told], [["synced"], ["Component tills", "synced"]]);
    cluster.remove(pod);
    await asTill.ended();
  });

  it("K41: a stream begins with everything and says where that ends", async () => {
    const { cluster, resources } = bench;
    const token = cluster.token(cluster.put());
    for (const name of ["orders", "carts"]) resources.set(entry(name));
    const first = await bench.open(token);
    await first.synced();
    first.close();
    resources.remove("Component", "shop", "carts");
    const second = await bench.open(token);
    await second.synced();
    assert.deepEqual(second.told, ["Component orders", "synced"]);
  });

  it("K42: what a sidecar reports counts for the pod that it is and the Components that it was given", async () => {
    const { cluster, resources, reports } = bench;
    const token = cluster.token(cluster.put());
    resources.set(entry("orders"));
    resources.set(entry("tills", { scopes: ["till"] }));
    await (await bench.open(token)).synced();
    const failed = { uid: "u", generation: 1, state: "failed", reachable: null, message: "no such host" };
    const components = ["orders", "tills"].map((name) => ({ ...failed, name, podUid: "another" }));
    const answer = await bench.ask("POST", REPORT_PATH, token, { text: JSON.stringify({ components }) });
    answer.resume();
    assert.equal(answer.statusCode, 204);
    const told = reports.of("shop", "orders").map(({ podUid, appId, message }) => [podUid, appId, message]);
    assert.deepEqual(told, [["uid-shop-cart-1", "cart", "no such host"]]);
    assert.deepEqual(reports.of("shop", "tills"), []);
  });
});
