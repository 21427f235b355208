// docs/samples.md, rows quick-*: the state requests of Dapr's quickstarts, on Redis as their manifests have it.
import assert from "node:assert/strict";
import { ask, STORE } from "#test/wire/client.ts";
import { describeOnRedis } from "./redis-bench.ts";

const JSON_TYPE = { "content-type": "application/json" };

describeOnRedis("the quickstarts", { appId: "nodeapp", stores: { statestore: {} } }, (bench) => {
  it("quick-1: hello-world saves the order that came in, reads and deletes it", async () => {
    const body = JSON.stringify([{ key: "order", value: { orderId: "42" } }]);
    assert.equal((await ask(bench.wire, "POST", STORE, body, JSON_TYPE)).status, 204);
    assert.equal((await ask(bench.wire, "GET", `${STORE}/order`)).text, '{"orderId":"42"}');
    assert.equal((await ask(bench.wire, "DELETE", `${STORE}/order`, undefined, JSON_TYPE)).status, 204);
  });

  it("quick-2: state_management over HTTP waits for health, saves, reads and deletes order after order", async () => {
    assert.equal((await ask(bench.wire, "GET", "/v1.0/healthz")).status, 204);
    // Objects from JavaScript, Python, C# and Java, a text from Go.
    for (const value of ['{"orderId":1}', '{"orderId": 2}', '"3"']) {
      const body = `[{"key": "order1", "value": ${value}}]`;
      assert.equal((await ask(bench.wire, "POST", STORE, body, JSON_TYPE)).status, 204);
      assert.equal((await ask(bench.wire, "GET", `${STORE}/order1`)).text, value);
      assert.equal((await ask(bench.wire, "DELETE", `${STORE}/order1`)).status, 204);
    }
  });

  it("quick-3: Java's client offers HTTP/2 with each request, and is answered over HTTP/1.1", async () => {
    const offer = {
      connection: "Upgrade, HTTP2-Settings",
      "http2-settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
      upgrade: "h2c",
    };
    const body = '[{"key":"7","value":{"orderId":7}}]';
    assert.equal((await bench.wire.ask("POST", STORE, { headers: offer, body })).status, 204);
    const read = await bench.wire.ask("GET", `${STORE}/7`, { headers: offer });
    assert.deepEqual([read.status, read.text], [200, '{"orderId":7}']);
    assert.equal((await bench.wire.ask("DELETE", `${STORE}/7`, { headers: offer })).status, 204);
  });

  it("quick-4: the data set of the query pages is saved in one request", async () => {
    const people = Array.from({ length: 10 }, (_, index) => ({
      key: String(index + 1),
      value: { person: { org: "Dev Ops", id: 1000 + index }, city: "Seattle", state: "WA" },
    }));
    // curl's `-d @file` sends the file without its line ends.
    const body = JSON.stringify(people, null, 2).replaceAll("\n", "");
    assert.equal((await ask(bench.wire, "POST", STORE, body, JSON_TYPE)).status, 204);
    const { text } = await ask(bench.wire, "GET", `${STORE}/10`);
    assert.deepEqual(JSON.parse(text), people[9]?.value);
  });
});
