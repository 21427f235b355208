// docs/samples.md, rows wrong-*: samples that are wrong in Dapr's own pages. Each is sent as printed, and must be refused
// where the page expects it to work; that the words say why is what Pannier can do about it.
import assert from "node:assert/strict";
import { RUN_GRAMMAR } from "#cli/run/flags.ts";
import { parseArguments } from "#kit/arguments.ts";
import { judge } from "#test/docs/judgement.ts";
import { ask, errorOf, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { describeOnRedis } from "./redis-bench.ts";

const JSON_TYPE = { "content-type": "application/json" };

describe("samples that cannot work", () => {
  let wire: WireSidecar;

  before(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
  });
  after(() => wire.stop());

  /** The answer's status, error code and message. */
  async function refusal(path: string, body: string, method = "POST"): Promise<[number, string, string]> {
    const answer = await ask(wire, method, path, body, JSON_TYPE);
    const { errorCode, message } = errorOf(answer);
    return [answer.status, errorCode, message];
  }

  it("wrong-1: one item that stands in no array", async () => {
    const [status, code, message] = await refusal(STORE, '{ "key": "key1", "value": "value1"}');
    assert.deepEqual([status, code], [400, "ERR_MALFORMED_REQUEST"]);
    assert.match(message, /got object, want an array/);
  });

  it("wrong-2: a transaction that is sent to the store's URL", async () => {
    const body = '{"operations": [{"operation":"upsert", "request": {"key": "order_1", "value": "250"}}]}';
    assert.deepEqual((await refusal(STORE, body)).slice(0, 2), [400, "ERR_MALFORMED_REQUEST"]);
  });

  it("wrong-3: the answer of a bulk read with a member `value`", async () => {
    await save(wire, "key1", '"value1"');
    const { text } = await ask(wire, "POST", `${STORE}/bulk`, '{"keys": ["key1"]}', JSON_TYPE);
    const [item] = JSON.parse(text);
    assert.deepEqual([item.data, item.value], ["value1", undefined]);
  });

  it("wrong-4: an ETag as a bare number", async () => {
    const item = '{ "key": "k1", "value": "New Data", "etag": 1, "options": { "concurrency": "first-write" }}';
    const [status, code, message] = await refusal(STORE, JSON.stringify(`[${item}]`));
    assert.deepEqual([status, code], [400, "ERR_MALFORMED_REQUEST"]);
    assert.match(message, /etag: got number, want a string/);
  });

  it("wrong-5: a loop that waits for a save to answer 200", async () => {
    assert.equal((await ask(wire, "POST", STORE, '[{ "key": "key1", "value": "New Data" }]')).status, 204);
  });

  it("wrong-6: the ETag of a key that was saved under another name", async () => {
    await save(wire, "k1", '"Some Data"');
    const answer = await ask(wire, "GET", `${STORE}/never-saved`, undefined, { consistency: "strong" });
    assert.deepEqual([answer.status, answer.headers.etag], [204, undefined]);
  });

  it("wrong-7: URLs without the name of a store", async () => {
    const items = '[{ "key": "k1", "value": "Some Data"}]';
    assert.deepEqual((await refusal("/v1.0/state", items)).slice(0, 2), [404, "ERR_DIRECT_INVOKE"]);
    // Here the key stands where the store's name belongs.
    assert.deepEqual((await refusal("/v1.0/state/key1", items)).slice(0, 2), [400, "ERR_STATE_STORE_NOT_FOUND"]);
    for (const method of ["GET", "DELETE"])
      assert.deepEqual((await refusal("/v1.0/state/key1", "", method)).slice(0, 2), [404, "ERR_DIRECT_INVOKE"]);
  });

  it("wrong-8: a version that stands twice in the URL", async () => {
    const path = "/v1.0/v1.0/state/statestore/transaction";
    assert.deepEqual((await refusal(path, '{"operations": []}')).slice(0, 2), [404, "ERR_DIRECT_INVOKE"]);
  });

  const upsert = '{ "operation": "upsert", "request": { "key": "key1", "value": "2" } }';
  for (const [what, path, body] of [
    ["a bulk read with a comma at its end", `${STORE}/bulk`, '{ "keys": [ "key1", "key2" ], "parallelism": 10, }'],
    ["options with a comma at their end", STORE, '[{ "key": "weapon", "options": { "consistency": "strong", } }]'],
    [
      "a transaction without a comma between its members",
      `${STORE}/transaction`,
      `{ "metadata": { "partitionKey": "partition1", } "operations": [ ${upsert} ] }`,
    ],
    [
      "CloudEvent fields with commas at the end",
      `${STORE}/transaction`,
      `{ "operations": [ ${upsert}, ], "metadata": { "my-custom-ce-field": "abc", } }`,
    ],
  ] as const) {
    it(`wrong-9: ${what} is no JSON`, async () => {
      assert.deepEqual((await refusal(path, body)).slice(0, 2), [400, "ERR_MALFORMED_REQUEST"]);
    });
  }

  it("wrong-10: a curl command that ends before its body, because a line lacks its backslash", async () => {
    for (const path of [STORE, `${STORE}/bulk`, `${STORE}/transaction`]) {
      const [status, code, message] = await refusal(path, "");
      assert.deepEqual([status, code], [400, "ERR_MALFORMED_REQUEST"]);
      assert.match(message, /EOF$/);
    }
    // The bulk read has no -X POST: without its body curl reads a key named "bulk".
    assert.equal((await ask(wire, "GET", `${STORE}/bulk`, undefined, JSON_TYPE)).status, 204);
  });

  it("wrong-11: a delete with the key in its body", async () => {
    await save(wire, "1", '{"orderId":"1"}');
    const body = '[{"key":"1","value":{"orderId":"1"}}]';
    // Node's client announces no length for the body of a DELETE by itself; PHP's does.
    const headers = { ...JSON_TYPE, "content-length": String(body.length) };
    assert.equal((await ask(wire, "DELETE", STORE, body, headers)).status, 404);
    assert.equal((await ask(wire, "GET", `${STORE}/1`)).text, '{"orderId":"1"}');
  });

  it("wrong-12: a TTL under the name metadata.ttlInSeconds in an item", async () => {
    const body = '[{ "key": "brief", "value": 1, "metadata": { "metadata.ttlInSeconds": "120" } }]';
    assert.equal((await ask(wire, "POST", STORE, body)).status, 204);
    const { headers } = await ask(wire, "GET", `${STORE}/brief`);
    assert.equal(headers["metadata.ttlexpiretime"], undefined);
  });

  it("wrong-13: manifests whose YAML is broken", async () => {
    const head = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: statestore\nspec:\n";
    const spec = "  type: state.in-memory\n  version: v1\n  metadata:\n";
    const rotation = "  - name: primaryEncryptionKey\n      secretKeyRef:\n        name: mysecret\n";
    const template = "  - name:<KEY>\n    value:<VALUE>\n";
    for (const entries of [rotation, template]) {
      const { code, report } = await judge(head + spec + entries);
      assert.equal(code, 1, report);
      assert.match(report, /^manifest\.yaml:\d+: /);
    }
  });

  it("wrong-14: a command line whose last word, or whose configuration, becomes the app", () => {
    const lines: [argv: string[], command: string][] = [
      [["--app-id", "myapp", "--dapr-http-port", "3500", "run"], "run"],
      [["--app-id", "order-processor", "../config.yaml", "--components-path", "components/"], "../config.yaml"],
    ];
    for (const [argv, command] of lines) {
      const parsed = parseArguments(RUN_GRAMMAR, argv);
      assert.ok(!("error" in parsed));
      assert.equal(parsed.words[0], command);
    }
  });
});

describeOnRedis("a sample that cannot work on Redis", { appId: "mypets", stores: { statestore: {} } }, (bench) => {
  it("wrong-15: a value in the hash's field `value`", async () => {
    await save(bench.wire, "food", '"fish"');
    assert.equal(await bench.raw.hget("mypets||food", "value"), null);
  });
});
