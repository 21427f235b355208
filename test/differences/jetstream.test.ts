// The rows of docs/differences.md that show on JetStream, over HTTP against a real server.
import assert from "node:assert/strict";
import { describeWithNats, type NatsServer, openBucket, startNats, type TestBucket } from "#test/servers/nats.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithNats("differences on JetStream", () => {
  let server: NatsServer;
  let bucket: TestBucket;
  let wire: WireSidecar;

  before(async () => {
    server = await startNats();
    bucket = await openBucket(server.url, "state");
    const common = { natsURL: server.url, bucket: "state" };
    const store = component("statestore", "state.jetstream", common);
    const dotted = component("dotted", "state.jetstream", {
      ...common,
      keyPrefix: "shop.eu",
      dotsAsSeparators: "true",
    });
    const refused = component("refused", "state.jetstream", { ...common, keyPrefix: "shop.eu" });
    wire = await startWire({
      manifests: { "a.yaml": store, "b.yaml": dotted, "c.yaml": refused },
      settings: { appId: "shop" },
    });
  });
  after(async () => {
    await wire.stop();
    await bucket.close();
    await server.stop();
  });

  const put = async (item: object, store: string = STORE): Promise<number> =>
    (await ask(wire, "POST", store, [item])).status;
  const textOf = async (key: string): Promise<string> =>
    (await ask(wire, "GET", `${STORE}/${encodeURIComponent(key)}`)).text;

  it("JS1: a key that is not there is no error", async () => {
    assert.equal((await ask(wire, "GET", `${STORE}/js1`)).status, 204);
  });

  it("JS2: values have ETags, and they and first-write count", async () => {
    await save(wire, "js2", "1");
    const { etag } = (await ask(wire, "GET", `${STORE}/js2`)).headers;
    assert.equal(etag, String((await bucket.kv.get("shop.js2"))?.revision));
    assert.deepEqual(
      [await put({ key: "js2", value: 2, etag }), await put({ key: "js2", value: 3, etag })],
      [204, 409],
    );
    assert.equal(await put({ key: "js2", value: 3, options: { concurrency: "first-write" } }), 409);
    assert.equal(await textOf("js2"), "2");
  });

  it("JS3: keys that would share a name are refused, or do so when that is asked for", async () => {
    const [dotted, refused] = ["/v1.0/state/dotted", "/v1.0/state/refused"];
    await save(wire, "eu.js3", "1");
    assert.equal(await put({ key: "js3", value: 2 }, refused), 400);
    assert.equal(await textOf("eu.js3"), "1");
    assert.equal(await put({ key: "js3", value: 2 }, dotted), 204);
    assert.equal(await textOf("eu.js3"), "2");
  });

  it("JS4: a key may have any characters", async () => {
    for (const key of ["js4 a", "js4*", "js4>", "js4..", "js4\u{1f9fa}"]) {
      assert.equal(await put({ key, value: key }), 204);
      assert.equal(await textOf(key), JSON.stringify(key));
    }
  });

  it("JS5: a delete of what is not there leaves nothing", async () => {
    assert.equal((await ask(wire, "DELETE", `${STORE}/js5`)).status, 204);
    assert.equal(await bucket.kv.get("shop.js5"), null);
  });
});
