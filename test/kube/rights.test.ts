// Who gets nothing: tokens of a real API server that are not a sidecar's own, and what is planted in a secret.
import assert from "node:assert/strict";
import { request } from "node:https";
import { TOKEN_AUDIENCE } from "#crds/distribution.ts";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import { Bench, entry, makeTrust, type Trust } from "#test/unit/operator/api/bench.ts";
import { OperatorRights, PodWatch, SidecarPods } from "./sidecar-pods.ts";

const PLANTED = "cGxhbnRlZC1pbi1hLXNlY3JldA==";

describeWithBed("rights of a sidecar", () => {
  let bed: Bed;
  let trust: Trust;
  let rights: OperatorRights;
  let watch: PodWatch;
  let bench: Bench;
  let shop: SidecarPods;
  let bank: SidecarPods;

  before(async () => {
    bed = await sharedBed();
    trust = await makeTrust();
    rights = await OperatorRights.grant(bed);
    watch = await PodWatch.start(rights.kubeconfig);
    bench = await new Bench({ trust, kube: watch.client, pods: watch.cache, account: rights.account }).start();
    shop = await SidecarPods.inFreshNamespace(bed);
    bank = await SidecarPods.inFreshNamespace(bed);
    await shop.create("cart", { "dapr.io/app-id": "cart" });
    await bank.create("cart", { "dapr.io/app-id": "cart" });
    const secrets = [{ name: "redis", key: "password", value: PLANTED }];
    bench.resources.set(entry("vault", { namespace: bank.namespace, secrets }));
    bench.resources.set(entry("tills", { namespace: shop.namespace, scopes: ["till"], secrets }));
  });
  after(async () => {
    await bench.close();
    await watch.close();
    shop.close();
    bank.close();
    await rights.revoke();
    await trust.certificates.remove();
  });

  async function refused(token: string | null): Promise<[number, string]> {
    const client = await bench.open(token);
    await client.ended();
    return [client.status, client.text];
  }

  it("end at its namespace and its app id", async () => {
    const stream = await bench.open(await shop.token("cart"));
    await stream.synced();
    assert.deepEqual(stream.told, ["synced"]);
    const other = await bench.open(await bank.token("cart"));
    await other.synced();
    assert.deepEqual(other.told, ["Component vault", "synced"]);
  });

  it("need a token that is bound to a pod", async () => {
    assert.deepEqual(await refused(await shop.unboundToken()), [
      403,
      "the token is not bound to a pod: want the one that the injector projects into the sidecar's pod\n",
    ]);
  });

  it("need a token for the operator: one for the API server or for somebody else is none", async () => {
    for (const audience of ["https://kubernetes.default.svc", "vault"]) {
      assert.equal((await refused(await shop.token("cart", audience)))[0], 401);
    }
  });

  it("need a token that this API server signed", async () => {
    const [head = "", body = "", signature = ""] = (await shop.token("cart")).split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    claims["kubernetes.io"].namespace = bank.namespace;
    claims.sub = `system:serviceaccount:${bank.namespace}:default`;
    const forged = [head, Buffer.from(JSON.stringify(claims)).toString("base64url"), signature].join(".");
    assert.equal((await refused(forged))[0], 401);
    const unsigned = Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url");
    assert.equal((await refused(`${unsigned}.${body}.`))[0], 401);
  });

  it("reach no further than the operator: the API server does not take its token", async () => {
    const authority = await bed.kubectl([
      "config",
      "view",
      "--raw",
      "--minify",
      "-o",
      "jsonpath={.clusters[0].cluster.certificate-authority-data}",
    ]);
    const token = await shop.token("cart");
    const url = new URL(`/api/v1/namespaces/${shop.namespace}/pods/cart`, bed.server);
    const status = await new Promise<number>((resolve, reject) => {
      const headers = { Authorization: `Bearer ${token}` };
      const sent = request(url, { ca: Buffer.from(authority, "base64"), headers, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on("error", reject);
      sent.end();
    });
    assert.equal(status, 401);
  });

  it("leave no secret and no token in a log, not that of the operator either", async () => {
    const tokens = [await bank.token("cart"), await shop.token("cart", "vault")];
    for (const token of tokens) await bench.open(token);
    const lines = bench.lines.join("");
    assert.match(lines, /a sidecar's stream begins/);
    assert.match(lines, /a request is refused/);
    for (const secret of [PLANTED, Buffer.from(PLANTED, "base64").toString(), ...tokens]) {
      assert.ok(!lines.includes(secret));
    }
  });

  it("are looked into by an operator that may read pods and review tokens, and no more", async () => {
    const may = async (verb: string, resource: string): Promise<boolean> => {
      const args = ["--kubeconfig", rights.kubeconfig, "auth", "can-i", verb, resource, "-n", bank.namespace];
      return (await bed.tryKubectl(args)).stdout.trim() === "yes";
    };
    assert.equal(await may("watch", "pods"), true);
    assert.equal(await may("create", "tokenreviews.authentication.k8s.io"), true);
    for (const [verb, resource] of [
      ["get", "secrets"],
      ["create", "serviceaccounts/token"],
      ["delete", "pods"],
    ] as const) {
      assert.equal(await may(verb, resource), false, `${verb} ${resource}`);
    }
    assert.equal(TOKEN_AUDIENCE, "pannier.io/operator");
  });
});
