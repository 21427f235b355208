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

  it("later-1: a query finds what the query pages say", async () => {
    const people = [1036, 1028, 1071, 1042].map((id, index) => ({
      key: String(index + 1),
      value: { person: { org: "Dev Ops", id }, city: "Seattle", state: index < 2 ? "WA" : "CA" },
    }));
    assert.equal((await ask(wire, "POST", STORE, people, JSON_TYPE)).status, 204);
    const body = '{ "filter": { "EQ": { "state": "CA" } }, "sort": [ { "key": "person.id", "order": "DESC" } ] }';
    for (const method of ["POST", "PUT"]) {
      const answer = await ask(wire, method, "/v1.0-alpha1/state/statestore/query", body, JSON_TYPE);
      const { results }: { results: readonly { key: string }[] } = JSON.parse(answer.text);
      assert.deepEqual([answer.status, results.map(({ key }) => key)], [200, ["3", "4"]]);
    }
  });

  it("later-2: query indexes of Redis are taken", async () => {
    const indexes = '[{"name": "orgIndx", "indexes": [{"key": "person.org", "type": "TEXT"}]}]';
    const { code, report } = await judge(component("statestore", "state.redis", { queryIndexes: indexes }));
    assert.equal(code, 0);
    assert.doesNotMatch(report, /queryIndexes/);
  });

  it("later-3: an encryption key is taken, with a word on the secret store that the sample leaves out", async () => {
    const manifest = `${component("statestore", "state.redis", { redisHost: "localhost:6379", redisPassword: "" })}    - name: primaryEncryptionKey
      secretKeyRef:
        name: mysecret
        key: mykey
`;
    const { code, report } = await judge(manifest);
    assert.equal(code, 0);
    assert.match(
      report,
      /warning: .* primaryEncryptionKey: want auth\.secretStore beside secretKeyRef; outside Kubernetes/,
    );
  });

  it("later-4: actor state is there, without placement", async () => {
    const marked = component("actors", "state.in-memory", { actorStateStore: "true" });
    assert.equal((await judge(marked)).code, 0);
    const actors = await startWire({ manifests: { "a.yaml": marked } });
    const path = "/v1.0/actors/cat/leroy/state";
    const operations = [{ operation: "upsert", request: { key: "food", value: "milk" } }];
    try {
      assert.equal((await ask(actors, "POST", path, operations, JSON_TYPE)).status, 204);
      assert.equal((await ask(actors, "GET", `${path}/food`)).text, '"milk"');
    } finally {
      await actors.stop();
    }
  });

  for (const type of ["state.oracledatabase"]) {
    it(`later-5: ${type} is refused by name`, async () => {
      const { code, report } = await judge(component("other", type, { connectionString: "<CONNECTION STRING>" }));
      assert.equal(code, 1);
      assert.match(report, new RegExp(`got "${type}"`));
    });
  }

  for (const kind of ["Configuration", "Resiliency"]) {
    it(`later-6: ${kind} is read`, async () => {
      const other = `apiVersion: dapr.io/v1alpha1\nkind: ${kind}\nmetadata:\n  name: other\nspec: {}\n`;
      const { code, report } = await judge(`${other}---\n${component("statestore", "state.in-memory")}`);
      assert.equal(code, 0);
      assert.match(report, new RegExp(`^1 Component, 1 ${kind} in 1 file: 0 errors, 0 warnings$`, "m"));
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
