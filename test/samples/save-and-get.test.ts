// docs/samples.md, rows get-*: the how-to on saving and getting state and the first steps with the API, on Redis.
import assert from "node:assert/strict";
import { RUN_GRAMMAR } from "#cli/run/flags.ts";
import { parseArguments } from "#kit/arguments.ts";
import { Bench } from "#test/cli/pannier.ts";
import { judge } from "#test/docs/judgement.ts";
import { freePort } from "#test/servers/free-port.ts";
import { ask, STORE } from "#test/wire/client.ts";
import { describeOnRedis } from "./redis-bench.ts";

const JSON_TYPE = { "content-type": "application/json" };

describeOnRedis("saving and getting state", { appId: "orderprocessing", stores: { statestore: {} } }, (bench) => {
  it("get-1: saves one item and reads it, also after a restart of the sidecar", async () => {
    const body = '[{ "key": "order_1", "value": "250"}]';
    assert.equal((await ask(bench.wire, "POST", STORE, body, JSON_TYPE)).status, 204);
    assert.equal((await ask(bench.wire, "GET", `${STORE}/order_1`)).text, '"250"');
    await bench.restartSidecar();
    assert.equal((await ask(bench.wire, "GET", `${STORE}/order_1`)).text, '"250"');
  });

  it("get-2: deletes it, and then reads nothing", async () => {
    assert.equal((await ask(bench.wire, "DELETE", `${STORE}/order_1`)).status, 204);
    const { status, text } = await ask(bench.wire, "GET", `${STORE}/order_1`);
    assert.deepEqual([status, text], [204, ""]);
  });

  it("get-3: saves two items in one request and reads them in another", async () => {
    const body = '[{ "key": "order_1", "value": "250"}, { "key": "order_2", "value": "550"}]';
    assert.equal((await ask(bench.wire, "POST", STORE, body, JSON_TYPE)).status, 204);
    const answer = await ask(bench.wire, "POST", `${STORE}/bulk`, '{"keys":["order_1", "order_2"]}', JSON_TYPE);
    const items: { key: string; data: unknown; etag: string }[] = JSON.parse(answer.text);
    assert.deepEqual(
      items.map(({ key, data }) => [key, data]),
      [
        ["order_1", "250"],
        ["order_2", "550"],
      ],
    );
  });

  it("get-4: writes one key and deletes another in a transaction", async () => {
    const body =
      '{"operations": [{"operation":"upsert", "request": {"key": "order_1", "value": "250"}}, {"operation":"delete", "request": {"key": "order_2"}}]}';
    assert.equal((await ask(bench.wire, "POST", `${STORE}/transaction`, body, JSON_TYPE)).status, 204);
    const answer = await ask(bench.wire, "POST", `${STORE}/bulk`, '{"keys":["order_1", "order_2"]}', JSON_TYPE);
    const [first, second] = JSON.parse(answer.text);
    assert.deepEqual([first.data, second], ["250", { key: "order_2" }]);
  });

  it("get-5: takes what the JavaScript SDK sends over HTTP", async () => {
    const items = [
      { key: "order_1", value: "100" },
      { key: "order_2", value: "100" },
    ];
    const operations = [
      { operation: "upsert", request: { key: "order_3", value: "100" } },
      { operation: "delete", request: { key: "order_2" } },
    ];
    const statuses = [
      // What the SDK asks before its first call.
      await ask(bench.wire, "GET", "/v1.0/metadata"),
      await ask(bench.wire, "POST", STORE, items, JSON_TYPE),
      await ask(bench.wire, "POST", `${STORE}/bulk`, { keys: ["order_1", "order_2"], parallelism: 10 }, JSON_TYPE),
      await ask(bench.wire, "POST", `${STORE}/transaction`, { operations, metadata: null }, JSON_TYPE),
      await ask(bench.wire, "DELETE", `${STORE}/order_1`),
      await ask(bench.wire, "GET", `${STORE}/order_3`),
    ].map(({ status }) => status);
    assert.deepEqual(statuses, [200, 204, 200, 204, 204, 200]);
  });
});

describeOnRedis("a look into Redis", { appId: "myapp", stores: { statestore: {} } }, (bench) => {
  it("get-6: finds the key behind the app id, and the hash with data and version", async () => {
    await ask(bench.wire, "POST", STORE, '[{ "key": "name", "value": "Bruce Wayne"}]', JSON_TYPE);
    assert.deepEqual(await bench.raw.keys("*"), ["myapp||name"]);
    assert.deepEqual(await bench.raw.keys("myapp*"), ["myapp||name"]);
    assert.deepEqual(await bench.raw.hgetall("myapp||name"), { data: '"Bruce Wayne"', version: "1" });
  });
});

describe("what a sample is started with", () => {
  it("get-7: takes the manifest of the default state store", async () => {
    const manifest = `apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
  namespace: default
spec:
  type: state.redis
  version: v1
  metadata:
  - name: redisHost
    value: localhost:6379
  - name: redisPassword
    value: ""
  - name: actorStateStore
    value: "true"
`;
    assert.deepEqual(await judge(manifest), { code: 0, report: "1 Component in 1 file: 0 errors, 0 warnings\n" });
  });

  it("get-8: understands the command lines of `dapr run`", () => {
    const flags = ["--app-id", "orderprocessing", "--app-port", "6001", "--dapr-http-port", "3601"];
    const grpc = ["--dapr-grpc-port", "60001"];
    const lines: [argv: string[], command: string[]][] = [
      [["--app-id", "myapp", "--dapr-http-port", "3500"], []],
      [
        [...flags, ...grpc, "--", "python3", "OrderProcessingService.py"],
        ["python3", "OrderProcessingService.py"],
      ],
      [
        [...flags, ...grpc, "go", "run", "."],
        ["go", "run", "."],
      ],
      [
        ["--app-id", "myapp", "python", "pythonState.py"],
        ["python", "pythonState.py"],
      ],
      [["--app-id", "demo", "--dapr-http-port", "3500", "--components-path", "query-api-examples/components"], []],
      [
        ["--app-id", "nodeapp", "--app-port", "3000", "--dapr-http-port", "3500", "node", "app.js"],
        ["node", "app.js"],
      ],
      [
        ["--app-id", "order-processor", "--resources-path", "components/", "--", "npm", "start"],
        ["npm", "start"],
      ],
    ];
    for (const [argv, command] of lines) {
      const parsed = parseArguments(RUN_GRAMMAR, argv);
      assert.ok(!("error" in parsed), JSON.stringify(parsed));
      assert.deepEqual([parsed.words, parsed.ignored], [command, []]);
    }
  });

  it("get-9: starts with flags before the verb and the port under its first name", async () => {
    const bench = new Bench();
    try {
      const port = await freePort();
      const argv = ["--app-id", "myapp", "--port", String(port), "run"];
      await bench.start(argv, { cwd: await bench.folder() }).says(/app id +myapp\n/);
      assert.equal((await fetch(`http://127.0.0.1:${port}/v1.0/healthz`)).status, 204);
    } finally {
      await bench.clear();
    }
  });
});
