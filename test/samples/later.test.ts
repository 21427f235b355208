// docs/samples.md, rows later-* and other-*: what is refused today must be refused with words, never half done.
import assert from "node:assert/strict";
import { judge } from "#test/docs/judgement.ts";
import { ask, errorOf, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const JSON_TYPE = { "content-type": "application/json" };

describe("samples that need more than this release has", () => {
  let wire: WireSidecar;

  before(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
  });
  after(() => wire.stop());

  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;

  it("later-1: there is no query yet", async () => {
    const body = '{ "filter": { "EQ": { "state": "CA" } }, "sort": [ { "key": "person.id", "order": "DESC" } ] }';
    for (const method of ["POST", "PUT"]) {
      const answer = await ask(wire, method, "/v1.0-alpha1/state/statestore/query", body, JSON_TYPE);
      assert.deepEqual([answer.status, errorOf(answer).errorCode], [500, "ERR_STATE_STORE_NOT_SUPPORTED"]);
    }
  });

  it("later-2: query indexes of Redis are refused with the reason", async () => {
    const indexes = '[{"name": "orgIndx", "indexes": [{"key": "person.org", "type": "TEXT"}]}]';
    const { code, report } = await judge(component("statestore", "state.redis", { queryIndexes: indexes }));
    assert.equal(code, 1);
    assert.match(report, /queryIndexes: .*later release/);
  });

  it("later-3: an encryption key is refused, so that nothing is stored as plain text", async () => {
    const manifest = `${component("statestore", "state.redis", { redisHost: "localhost:6379", redisPassword: "" })}    - name: primaryEncryptionKey
      secretKeyRef:
        name: mysecret
        key: mykey
`;
    const { code, report } = await judge(manifest);
    assert.equal(code, 1);
    assert.match(report, /primaryEncryptionKey: .*encrypt/);
  });

  it("later-4: there is no actor state yet, and actorStateStore is accepted", async () => {
    const answer = await ask(wire, "GET", "/v1.0/actors/cat/leroy/state/food");
    assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_ACTOR_NO_PLACEMENT"]);
    assert.equal((await judge(component("statestore", "state.in-memory", { actorStateStore: "true" }))).code, 0);
  });

  for (const type of ["state.mysql", "state.mongodb", "state.azure.cosmosdb", "state.sqlserver"]) {
    it(`later-5: ${type} is refused by name`, async () => {
      const { code, report } = await judge(component("other", type, { connectionString: "<CONNECTION STRING>" }));
      assert.equal(code, 1);
      assert.match(report, new RegExp(`got "${type}"`));
    });
  }

  for (const kind of ["Configuration", "Resiliency"]) {
    it(`later-6: ${kind} is passed over with a note`, async () => {
      const other = `apiVersion: dapr.io/v1alpha1\nkind: ${kind}\nmetadata:\n  name: other\nspec: {}\n`;
      const { code, report } = await judge(`${other}---\n${component("statestore", "state.in-memory")}`);
      assert.equal(code, 0);
      assert.match(report, new RegExp(`note: .*${kind}`));
    });
  }

  it("other-1: a Component with an outbox is refused", async () => {
    const outbox = { outboxPublishPubsub: "mypubsub", outboxPublishTopic: "newOrder" };
    const { code, report } = await judge(component("outbox", "state.in-memory", outbox));
    assert.equal(code, 1);
    assert.match(report, /outboxPublishPubsub: .*pub\/sub/);
  });

  it("other-2: a transaction with a projection is refused as a whole", async () => {
    const value = { orderId: "7hf8374s", type: "book", name: "The name of the wind" };
    const projection = {
      key: "order1",
      value: { orderId: "7hf8374s" },
      metadata: { "outbox.projection": "true" },
      contentType: "application/json",
    };
    const operations = [{ key: "order1", value }, projection].map((request) => ({ operation: "upsert", request }));
    const answer = await ask(wire, "POST", `${STORE}/transaction`, { operations }, JSON_TYPE);
    assert.equal(answer.status, 400);
    assert.match(errorOf(answer).message, /outbox\.projection: Pannier has no outbox/);
    assert.equal(await text("order1"), "");
  });

  it("other-3: names for a CloudEvent in a transaction's metadata change nothing", async () => {
    const metadata = { id: "unique-business-process-id", source: "CustomersApp", type: "CustomerCreated" };
    const operations = [
      { operation: "upsert", request: { key: "key1", value: "2", metadata: { "cloudevent.id": "unique" } } },
    ];
    const answer = await ask(wire, "POST", `${STORE}/transaction`, { operations, metadata }, JSON_TYPE);
    assert.deepEqual([answer.status, await text("key1")], [204, '"2"']);
  });

  it("other-4: there is no service invocation", async () => {
    const body = '{ "data": { "orderId": "42" } }';
    const answer = await ask(wire, "POST", "/v1.0/invoke/nodeapp/method/neworder", body, JSON_TYPE);
    assert.deepEqual([answer.status, errorOf(answer).errorCode], [404, "ERR_DIRECT_INVOKE"]);
  });
});
