// What the page of state.aws.dynamodb shows for making a table and for looking into it: each command as printed there, run by
// Amazon's client in place of their command line, against what a sidecar has written.
import assert from "node:assert/strict";
import { CreateTableCommand, ExecuteStatementCommand, UpdateTimeToLiveCommand } from "@aws-sdk/client-dynamodb";
import { type DynamoServer, describeWithDynamo, KEYS, REGION, startDynamo } from "#test/servers/dynamodb.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const CREATE =
  /^aws dynamodb create-table --table-name (\S+) --billing-mode PAY_PER_REQUEST --attribute-definitions AttributeName=(\S+),AttributeType=S --key-schema AttributeName=(\S+),KeyType=HASH$/;
const EXPIRE =
  /^aws dynamodb update-time-to-live --table-name (\S+) --time-to-live-specification Enabled=true,AttributeName=(\S+)$/;
const SELECT = /^aws dynamodb execute-statement --statement "((?:[^"\\]|\\")+)"$/;

describeWithDynamo("a look into DynamoDB", () => {
  const [making, looking, ...more] = readPage("docs/stores/aws.dynamodb.md").blocks.filter(
    ({ language }) => language === "sh",
  );
  const lines = (text = ""): readonly string[] => text.trim().split("\n");
  let server: DynamoServer;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(120_000);
    server = await startDynamo();
  });
  after(async () => {
    await wire?.stop();
    await server.stop();
  });

  /** Runs the two commands that make a table, and gives its name and the attribute of expiry. */
  async function make(): Promise<{ table: string; ttlAttributeName: string }> {
    const [create = "", expire = "", ...others] = lines(making?.text);
    assert.deepEqual([others, more], [[], []]);
    const [, table, defined, keyName] = CREATE.exec(create) ?? [];
    await server.sdk.send(
      new CreateTableCommand({
        TableName: table,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [{ AttributeName: defined, AttributeType: "S" }],
        KeySchema: [{ AttributeName: keyName, KeyType: "HASH" }],
      }),
    );
    const [, TableName, ttlAttributeName = ""] = EXPIRE.exec(expire) ?? [];
    const TimeToLiveSpecification = { Enabled: true, AttributeName: ttlAttributeName };
    await server.sdk.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification }));
    assert.ok(table !== undefined && table === TableName);
    return { table, ttlAttributeName };
  }

  /** The items that a statement finds, each as its attributes' texts, ETags left out. */
  async function run(line: string): Promise<readonly Record<string, string>[]> {
    const Statement = SELECT.exec(line)?.[1]?.replaceAll('\\"', '"');
    assert.ok(Statement !== undefined, line);
    const { Items = [] } = await server.sdk.send(new ExecuteStatementCommand({ Statement }));
    const found = Items.map((item) =>
      Object.fromEntries(
        Object.entries(item).flatMap(([name, { S = "" }]) => (name === "etag" ? [] : [[name, S] as const])),
      ),
    );
    return found.sort((one, other) => ((one.key ?? "") < (other.key ?? "") ? -1 : 1));
  }

  it("makes a table that the manifest fits, and shows a value, the keys of an app, and the state of an actor", async () => {
    const { table, ttlAttributeName } = await make();
    const { endpoint } = server;
    const metadata = { table, ttlAttributeName, region: REGION, endpoint, ...KEYS, actorStateStore: "true" };
    const manifest = component("statestore", "state.aws.dynamodb", metadata);
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
    await save(wire, "order-1", '{"a": 1}');
    const actor = [{ operation: "upsert", request: { key: "balance", value: 7 } }];
    await ask(wire, "POST", "/v1.0/actors/Account/alice/state", actor);
    const [value, keys, state, ...others] = await Promise.all(lines(looking?.text).map(run));
    assert.deepEqual(others, []);
    assert.deepEqual(value, [{ value: '{"a": 1}' }]);
    assert.deepEqual(keys, [{ key: "orders-app||Account||alice||balance" }, { key: "orders-app||order-1" }]);
    assert.deepEqual(state, [{ key: "orders-app||Account||alice||balance", value: "7" }]);
  });
});
