import assert from "node:assert/strict";
import { REPORT_PATH, RESOURCES_PATH, type ReportedComponent } from "#crds/distribution.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { until } from "#test/wire/until.ts";
import { Bench, type BenchOptions, entry, makeTrust, StreamClient, type Trust } from "./bench.ts";
import { kubeError } from "./hand-made-cluster.ts";

const READY: ReportedComponent = {
  name: "orders",
  uid: "u1",
  generation: 1,
  state: "ready",
  reachable: true,
  message: null,
};

describe("distribution API", () => {
  let trust: Trust;
  let bench: Bench;

  before(async () => {
    trust = await makeTrust();
  });
  after(() => trust.certificates.remove());

  async function start(options: Partial<BenchOptions> = {}): Promise<Bench> {
    bench = await new Bench({ trust, ...options }).start();
    return bench;
  }
  afterEach(() => bench.close());

  async function report(token: string, components: readonly unknown[]): Promise<number> {
    const answer = await bench.ask("POST", REPORT_PATH, token, { text: JSON.stringify({ components }) });
    answer.resume();
    return answer.statusCode ?? 0;
  }

  describe("a stream", () => {
    it("begins with all that the sidecar may have, and goes on with changes", async () => {
      const { cluster, resources } = await start();
      resources.set(entry("orders"));
      resources.set(entry("carts", { scopes: ["cart", "till"] }));
      const stream = await bench.open(cluster.token(cluster.put()));
      await stream.synced();
      assert.equal(stream.response.headers["content-type"], "application/x-ndjson");
      assert.deepEqual(stream.told, ["Component orders", "Component carts", "synced"]);
      resources.set(entry("new"));
      resources.remove("Component", "shop", "orders");
      await until("both are told", () => stream.told.length === 5);
      assert.deepEqual(stream.told.slice(3), ["Component new", "removed Component orders"]);
    });

    it("holds nothing of another namespace, of other apps, or of a Configuration that its pod does not name", async () => {
      const { cluster, resources } = await start();
      resources.set(entry("orders", { namespace: "bank" }));
      resources.set(entry("carts", { scopes: ["till"] }));
      resources.set(entry("retries", { kind: "Resiliency", scopes: ["till"] }));
      resources.set(entry("tracing", { kind: "Configuration" }));
      resources.set(entry("other", { kind: "Configuration" }));
      const pod = cluster.put({ annotations: { "dapr.io/app-id": "cart", "dapr.io/config": "tracing" } });
      const stream = await bench.open(cluster.token(pod));
      resources.set(entry("late", { namespace: "bank" }));
      resources.set(entry("end"));
      await until("the last is told", () => stream.told.includes("Component end"));
      assert.deepEqual(stream.told, ["Configuration tracing", "synced", "Component end"]);
    });

    it("tells a scope that is lost as removed, and one that is gained as a resource", async () => {
      const { cluster, resources } = await start();
      resources.set(entry("orders", { scopes: ["cart"] }));
      const stream = await bench.open(cluster.token(cluster.put()));
      await stream.synced();
      resources.set(entry("orders", { scopes: ["till"] }));
      resources.set(entry("end"));
      await until("the loss is told", () => stream.told.includes("Component end"));
      resources.set(entry("orders", { scopes: ["till", "cart"] }));
      await until("the gain is told", () => stream.told.length === 5);
      assert.deepEqual(stream.told.slice(2), ["removed Component orders", "Component end", "Component orders"]);
    });

    it("brings the manifest and the secrets with their names and keys", async () => {
      const { cluster, resources } = await start();
      const secrets = [{ name: "redis", key: "password", value: "c2VjcmV0" }];
      const resource = { kind: "Component", metadata: { name: "orders" }, spec: { type: "state.redis" } };
      resources.set(entry("orders", { secrets, resource }));
      const stream = await bench.open(cluster.token(cluster.put()));
      await stream.synced();
      assert.deepEqual(stream.messages[0], { type: "resource", kind: "Component", name: "orders", resource, secrets });
      assert.ok(!bench.lines.join("").includes("c2VjcmV0"));
    });

    it("beats while there is nothing to say", async () => {
      const clock = new ManualClock();
      const { cluster } = await start({ clock });
      const stream = await bench.open(cluster.token(cluster.put()));
      await stream.synced();
      await clock.advance(10_000);
      await until("a heartbeat comes", () => stream.messages.at(-1)?.type === "heartbeat");
    });

    it("ends with its pod", async () => {
      const { cluster } = await start();
      const pod = cluster.put();
      const [stream, other] = [
        await bench.open(cluster.token(pod)),
        await bench.open(cluster.token(cluster.put({ name: "cart-2" }))),
      ];
      cluster.remove(pod);
      await stream.ended();
      assert.deepEqual(bench.ended, ["revoked"]);
      assert.equal(other.hasEnded, false);
    });

    it("ends when its pod's name is another pod's by now", async () => {
      const { cluster } = await start();
      const stream = await bench.open(cluster.token(cluster.put()));
      cluster.put({ uid: "the-next" });
      await stream.ended();
      assert.deepEqual(bench.ended, ["revoked"]);
    });

    it("ends when the pod's app id or Configuration is another, and not for other changes", async () => {
      const { cluster } = await start();
      const annotations = { "dapr.io/app-id": "cart" };
      const token = cluster.token(cluster.put({ annotations }));
      const stream = await bench.open(token);
      cluster.put({ annotations: { ...annotations, "example.com/other": "1" } });
      await stream.synced();
      assert.equal(stream.hasEnded, false);
      cluster.put({ annotations: { "dapr.io/app-id": "till" } });
      await stream.ended();
      const next = await bench.open(token);
      cluster.put({ annotations: { "dapr.io/app-id": "till", "dapr.io/config": "tracing" } });
      await next.ended();
      assert.deepEqual(bench.ended, ["revoked", "revoked"]);
    });

    it("ends within two minutes when its pod ended before the stream began and nothing told so since", async () => {
      const clock = new ManualClock();
      const { cluster } = await start({ clock });
      const stream = await bench.open(cluster.token(cluster.put({}, false)));
      await stream.synced();
      await clock.advance(120_000);
      await stream.ended();
      assert.deepEqual(bench.ended, ["revoked"]);
    });

    it("gives way to the third of its pod", async () => {
      const { cluster } = await start();
      const token = cluster.token(cluster.put());
      const [first, second, third] = [await bench.open(token), await bench.open(token), await bench.open(token)];
      await first.ended();
      await third.synced();
      assert.equal(second.hasEnded, false);
      assert.deepEqual(bench.ended, ["replaced"]);
      assert.equal(bench.distribution.streams, 2);
    });

    it("ends after six hours or so, for a newer token", async () => {
      const clock = new ManualClock();
      const { cluster } = await start({ clock });
      const stream = await bench.open(cluster.token(cluster.put()));
      await clock.advance(5.9 * 3_600_000);
      assert.equal(stream.hasEnded, false);
      await clock.advance(3.2 * 3_600_000);
      await stream.ended();
      assert.deepEqual(bench.ended, ["aged"]);
    });

    it("is cut off when nothing of it is taken, and the others go on", async () => {
      const { cluster, resources } = await start({ slowMs: 300 });
      const [slow, quick] = [
        await bench.open(cluster.token(cluster.put()), { isPaused: true }),
        await bench.open(cluster.token(cluster.put({ name: "cart-2" }))),
      ];
      // More than the kernel's buffers of both ends hold.
      for (let i = 0; i < 20; i++) resources.set(entry(`big-${i}`, { resource: { text: "x".repeat(1_000_000) } }));
      await until("the slow one is cut off", () => bench.ended.includes("slow"));
      slow.read();
      await slow.ended();
      await until("the quick one has all", () => quick.told.length === 21);
      assert.deepEqual(bench.ended, ["slow"]);
    });

    it("has a limit in number, which a pod with a stream may pass", async () => {
      const { cluster } = await start({ streamsMax: 1 });
      const token = cluster.token(cluster.put());
      await bench.open(token);
      const refused = await bench.open(cluster.token(cluster.put({ name: "cart-2" })));
      assert.equal(refused.status, 503);
      assert.equal(refused.response.headers["retry-after"], "10");
      assert.equal((await bench.open(token)).status, 200);
    });

    it("is counted out when the sidecar leaves", async () => {
      const { cluster } = await start();
      const stream = await bench.open(cluster.token(cluster.put()));
      stream.close();
      await until("it is gone", () => bench.distribution.streams === 0);
      assert.deepEqual(bench.ended, ["client"]);
    });
  });

  describe("a replica that leaves", () => {
    it("ends its streams and takes no new ones, but still reports", async () => {
      const { cluster, resources } = await start();
      resources.set(entry("orders"));
      const token = cluster.token(cluster.put());
      const stream = await bench.open(token);
      const draining = bench.distribution.drain(200);
      const refused = await bench.open(token);
      assert.deepEqual([refused.status, refused.response.headers["retry-after"]], [503, "1"]);
      assert.equal(await report(token, [READY]), 204);
      await draining;
      await stream.ended();
      assert.deepEqual(bench.ended, ["shutdown"]);
    });
  });

  describe("a request", () => {
    it("is refused with a status and a sentence", async () => {
      const { cluster } = await start();
      const pod = cluster.put();
      const good = cluster.token(pod);
      cluster.tokens.set("un.bound.token", {
        authenticated: true,
        audiences: ["pannier.io/operator"],
        user: { username: "system:serviceaccount:shop:default" },
      });
      const ofPod = cluster.tokens.get(good);
      for (const [token, username] of [
        ["of.a.user", "jane"],
        ["of.a.node", "system:node:shop:default"],
        ["of.a.stranger", "system:serviceaccount:shop:default:more"],
      ] as const) {
        cluster.tokens.set(token, { ...ofPod, user: { ...Object(ofPod?.user), username } });
      }
      const deleted = cluster.put({ name: "deleted", deletionTimestamp: "2026-01-01T00:00:00Z" });
      const cases: readonly (readonly [string, string, string | null, number, RegExp])[] = [
        ["GET", RESOURCES_PATH, null, 401, /no bearer token/],
        ["GET", RESOURCES_PATH, "nonsense", 401, /the token is expired/],
        ["GET", RESOURCES_PATH, "not.known.here", 401, /the token is expired/],
        ["GET", RESOURCES_PATH, "of.a.user", 401, /the token is expired/],
        ["GET", RESOURCES_PATH, "of.a.node", 401, /the token is expired/],
        ["GET", RESOURCES_PATH, "of.a.stranger", 401, /the token is expired/],
        ["GET", RESOURCES_PATH, "un.bound.token", 403, /not bound to a pod/],
        ["GET", RESOURCES_PATH, cluster.token(pod, { audiences: ["vault"] }), 401, /audience/],
        ["GET", RESOURCES_PATH, cluster.token(deleted), 403, /pod shop\/deleted is being deleted/],
        ["GET", RESOURCES_PATH, cluster.token(cluster.put({ name: "done", phase: "Succeeded" })), 403, /has finished/],
        ["HEAD", RESOURCES_PATH, good, 405, /^$/],
        ["POST", RESOURCES_PATH, good, 405, /want GET/],
        ["GET", REPORT_PATH, good, 405, /want POST/],
        ["GET", `${RESOURCES_PATH}/`, good, 404, /nothing is at/],
        ["GET", "/", good, 404, /nothing is at/],
      ];
      for (const [method, path, token, status, text] of cases) {
        const client = new StreamClient(await bench.ask(method, path, token));
        await client.ended();
        assert.equal(client.status, status, `${method} ${path}`);
        assert.match(client.text, text);
      }
      assert.equal(bench.distribution.streams, 0);
    });

    it("is refused for a pod whose name is another pod's by now", async () => {
      const { cluster } = await start();
      const token = cluster.token(cluster.put());
      cluster.put({ uid: "the-next" });
      const client = await bench.open(token);
      await client.ended();
      assert.deepEqual([client.status, client.text], [403, "pod shop/cart-1 of the token is gone\n"]);
    });

    it("is refused for a pod of a namespace that is not watched", async () => {
      const { cluster } = await start({ watchedNamespaces: ["shop"] });
      const client = await bench.open(cluster.token(cluster.put({ namespace: "bank" })));
      await client.ended();
      assert.deepEqual([client.status, client.text], [403, "this operator does not watch the namespace bank\n"]);
      assert.equal((await bench.open(cluster.token(cluster.put()))).status, 200);
    });

    it("waits for the API server, and says for how long", async () => {
      const { cluster } = await start();
      cluster.failure = kubeError(500);
      const client = await bench.open(cluster.token(cluster.put()));
      await client.ended();
      assert.deepEqual([client.status, client.response.headers["retry-after"]], [503, "5"]);
      assert.match(client.text, /API server/);
      assert.deepEqual(bench.authorized, ["failed"]);
    });

    it("waits for a replica that has not listed everything yet", async () => {
      const { cluster } = await start();
      bench.isSynced = false;
      const token = cluster.token(cluster.put());
      const early = await bench.open(token);
      assert.deepEqual([early.status, early.response.headers["retry-after"]], [503, "2"]);
      bench.isSynced = true;
      assert.equal((await bench.open(token)).status, 200);
    });

    it("has no token in the log, whatever becomes of it", async () => {
      const { cluster } = await start();
      const tokens = ["plan.ted.token", cluster.token(cluster.put())];
      for (const token of tokens) await bench.open(token);
      for (const token of tokens) assert.ok(!bench.lines.join("").includes(token));
      assert.match(bench.lines.join(""), /a request is refused/);
    });
  });

  describe("a report", () => {
    it("counts for the Components that the sidecar was given, as the pod that it is", async () => {
      const { cluster, resources, reports } = await start();
      resources.set(entry("orders"));
      resources.set(entry("private", { scopes: ["till"] }));
      resources.set(entry("retries", { kind: "Resiliency" }));
      const token = cluster.token(cluster.put());
      await bench.open(token);
      const others = ["private", "retries", "unknown"].map((name) => ({
        ...READY,
        name,
        appId: "till",
        namespace: "bank",
      }));
      assert.equal(await report(token, [READY, ...others]), 204);
      assert.deepEqual(
        [...reports.all()],
        [{ namespace: "shop", podName: "cart-1", podUid: "uid-shop-cart-1", appId: "cart", components: [READY] }],
      );
    });

    it("is refused where the pod has no stream, before its body is read", async () => {
      const { cluster, reports } = await start();
      assert.equal(await report(cluster.token(cluster.put()), [READY]), 421);
      assert.deepEqual([...reports.all()], []);
    });

    it("is refused when it is none, too large, packed or of another type", async () => {
      const { cluster } = await start();
      const token = cluster.token(cluster.put());
      await bench.open(token);
      const cases: readonly (readonly [string, Readonly<Record<string, string>>, number])[] = [
        ["nonsense", {}, 400],
        ["", {}, 400],
        ['{"components":[{}]}', {}, 400],
        ["{}", { "Content-Type": "text/plain" }, 415],
        ["{}", { "Content-Encoding": "gzip" }, 415],
        ["{}", { "Content-Type": "application/json; charset=klingon" }, 415],
        ["x".repeat(4 * 1024 * 1024 + 1), {}, 413],
      ];
      for (const [text, headers, status] of cases) {
        const client = new StreamClient(await bench.ask("POST", REPORT_PATH, token, { text, headers }));
        await client.ended();
        assert.equal(client.status, status, `${text.slice(0, 20)} ${client.text}`);
      }
    });

    it("outlives its pod's stream by a minute, and a stream that comes back in between", async () => {
      const clock = new ManualClock();
      const { cluster, resources, reports } = await start({ clock });
      resources.set(entry("orders"));
      const token = cluster.token(cluster.put());
      const first = await bench.open(token);
      await report(token, [READY]);
      first.close();
      await until("the stream is gone", () => bench.distribution.streams === 0);
      await clock.advance(59_000);
      const second = await bench.open(token);
      await clock.advance(59_000);
      assert.equal(reports.of("shop", "orders").length, 1);
      second.close();
      await until("the stream is gone", () => bench.distribution.streams === 0);
      await clock.advance(60_000);
      assert.equal(reports.of("shop", "orders").length, 0);
    });

    it("goes at once with its pod", async () => {
      const { cluster, resources, reports } = await start();
      resources.set(entry("orders"));
      const pod = cluster.put();
      const token = cluster.token(pod);
      await bench.open(token);
      await report(token, [READY]);
      assert.equal(reports.of("shop", "orders").length, 1);
      cluster.remove(pod);
      assert.equal(reports.of("shop", "orders").length, 0);
    });
  });
});
