// The rows of docs/differences.md that show on DynamoDB, over HTTP against DynamoDB Local.
import assert from "node:assert/strict";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { driver } from "#sidecar/stores/dynamodb/dynamodb.ts";
import { openContext } from "#test/conformance/case.ts";
import { properties } from "#test/conformance/subject.ts";
import {
  type DynamoServer,
  describeWithDynamo,
  KEYS,
  REGION,
  startDynamo,
  TTL_ATTRIBUTE,
} from "#test/servers/dynamodb.ts";
import { DynamoFront } from "#test/servers/dynamodb-front.ts";
import { freePort } from "#test/servers/free-port.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithDynamo("differences on DynamoDB", () => {
  let server: DynamoServer;
  let front: DynamoFront;
  let wire: WireSidecar;
  let table: string;

  before(async function () {
    this.timeout(120_000);
    server = await startDynamo();
    front = await DynamoFront.start(server);
    table = await server.createTable();
    const { endpoint } = front;
    const metadata = { table, region: REGION, endpoint, ...KEYS, ttlAttributeName: TTL_ATTRIBUTE, keyPrefix: "none" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.aws.dynamodb", metadata) } });
  });
  afterEach(() => {
    front.answer = () => "pass";
    front.asked.length = 0;
  });
  after(async () => {
    await wire.stop();
    await front.stop();
    await server.stop();
  });

  const put = async (...items: object[]): Promise<number> => (await ask(wire, "POST", STORE, items)).status;
  const transact = async (...operations: object[]): Promise<number> =>
    (await ask(wire, "POST", `${STORE}/transaction`, { operations })).status;
  const erase = async (key: string, etag: string): Promise<number> =>
    (await ask(wire, "DELETE", `${STORE}/${key}`, undefined, { "if-match": etag })).status;
  const text = async (key: string): Promise<string> =>
    (await ask(wire, "GET", `${STORE}/${key}?consistency=strong`)).text;
  const etagOf = async (key: string): Promise<string> =>
    String((await ask(wire, "GET", `${STORE}/${key}?consistency=strong`)).headers.etag);
  const change = (operation: "upsert" | "delete", key: string, more: object = {}): object => ({
    operation,
    request: { key, value: "new", ...more },
  });
  const first = { options: { concurrency: "first-write" } };
  /** An item as Dapr leaves one there. */
  const lies = async (key: string, more: object = {}): Promise<void> => {
    const item = { key: { S: key }, value: { S: '"old"' }, ...more };
    await server.sdk.send(new PutItemCommand({ TableName: table, Item: item }));
  };
  const OVER = { etag: { S: "abc" }, [TTL_ATTRIBUTE]: { N: String(Math.floor(Date.now() / 1000) - 10) } };

  it("DY1: first-write over an existing key is a conflict", async () => {
    assert.equal(await put({ key: "dy1", value: 1, ...first }), 204);
    assert.equal(await put({ key: "dy1", value: 2, ...first }), 409);
    assert.equal(await text("dy1"), "1");
  });

  it("DY2: an item whose time is over has no ETag and blocks nothing", async () => {
    for (const key of ["dy2-etag", "dy2-first", "dy2-inside"]) await lies(key, OVER);
    assert.equal(await text("dy2-etag"), "");
    assert.equal(await put({ key: "dy2-etag", value: 1, etag: "abc" }), 409);
    assert.equal(await erase("dy2-etag", "abc"), 409);
    assert.equal(await put({ key: "dy2-first", value: 1, ...first }), 204);
    assert.equal(await transact(change("upsert", "dy2-inside", first)), 204);
  });

  it("DY3: every condition of a transaction counts, also of deletes and of changes that others follow", async () => {
    await save(wire, "dy3", "1");
    const etag = await etagOf("dy3");
    assert.equal(await transact(change("upsert", "dy3-other"), change("delete", "dy3", { etag: "abc" })), 409);
    assert.equal(await transact(change("upsert", "dy3", { etag: "abc" }), change("upsert", "dy3")), 409);
    assert.deepEqual([await text("dy3"), await text("dy3-other")], ["1", ""]);
    assert.equal(await transact(change("upsert", "dy3", { etag }), change("delete", "dy3", { etag })), 204);
    assert.equal(await text("dy3"), "");
  });

  it("DY4: a write whose answer was lost is sent once, and a transaction is made once", async () => {
    await save(wire, "dy4", "1");
    const etag = await etagOf("dy4");
    front.asked.length = 0;
    front.next("PutItem", "cut-after");
    const answer = await ask(wire, "POST", STORE, [{ key: "dy4", value: 2, etag }]);
    assert.deepEqual([answer.status, front.of("PutItem").length], [500, 1]);
    assert.match(answer.text, /the write may have happened/);
    front.next("TransactWriteItems", "cut-after");
    assert.equal(await transact(change("upsert", "dy4", { etag: await etagOf("dy4") })), 204);
    assert.equal(await text("dy4"), '"new"');
  });

  it("DY5: an expiry counts from the second that has begun", async () => {
    const fromMs = Date.now();
    assert.equal(await put({ key: "dy5", value: 1, metadata: { ttlInSeconds: "100" } }), 204);
    const asked = front.of("PutItem")[0]?.body.Item;
    const expiry = Number(Object(asked)[TTL_ATTRIBUTE].N);
    assert.ok(expiry * 1000 >= fromMs + 100_000, `${expiry} for ${fromMs}`);
    assert.ok(expiry * 1000 < Date.now() + 101_000);
  });

  it("DY6: a value has at most what fits under any key", async () => {
    const { text: told } = await ask(wire, "GET", "/pannier/v1/state/statestore");
    const largest: number = JSON.parse(told).limits.valueBytesMax;
    assert.equal(largest, 407_524 - (TTL_ATTRIBUTE.length + 8));
    assert.equal(await put({ key: "dy6", value: "v".repeat(largest - 2) }), 204);
    assert.equal(await put({ key: "dy6", value: "v".repeat(largest - 1) }), 400);
  });

  it("DY7: first-write replaces no item, also none without an ETag", async () => {
    await lies("dy7");
    assert.equal(await put({ key: "dy7", value: 1, ...first }), 409);
    assert.equal(await text("dy7"), '"old"');
  });

  it("DY8: partitionKey counts in any spelling", () => {
    const of = (name: string): string | null => {
      const given = { table: "state", [name]: "ContractID" };
      const properties = Object.entries(given).map(([key, value]) => ({ name: key, value, secret: false }));
      return driver.decode(properties, []).fingerprint;
    };
    assert.match(of("partitionKey") ?? "", /ContractID/);
    assert.equal(of("PartitionKey"), of("partitionKey"));
  });

  it("DY9: sign-in by certificates of Dapr's is refused", () => {
    for (const name of ["trustAnchorArn", "trustProfileArn"]) {
      const properties = [
        { name: "table", value: "state", secret: false },
        { name, value: "arn:aws:rolesanywhere:a", secret: false },
      ];
      assert.deepEqual(
        driver.decode(properties, []).faults.map(({ severity, field }) => [severity, field]),
        [["error", name]],
      );
    }
  });

  it("DY10: a bulk get is one request for a hundred keys", async () => {
    const keys = Array.from({ length: 100 }, (_, index) => `dy10-${index}`);
    assert.equal(await put(...keys.map((key) => ({ key, value: key }))), 204);
    const { text: told } = await ask(wire, "POST", `${STORE}/bulk`, { keys });
    const items: readonly { key: string; data: unknown }[] = JSON.parse(told);
    assert.ok(items.length === 100 && items.every(({ key, data }) => key === data));
    assert.deepEqual([front.of("BatchGetItem").length, front.of("GetItem").length], [1, 0]);
  });

  it("DY11: a role is taken on, and a store whose role cannot be is not opened with other keys", async () => {
    const before = process.env.AWS_ENDPOINT_URL_STS;
    process.env.AWS_ENDPOINT_URL_STS = `http://127.0.0.1:${await freePort()}`;
    try {
      const { endpoint } = front;
      const role = { assumeRoleArn: "arn:aws:iam::123456789012:role/orders" };
      const prepared = driver.decode(properties({ table, region: REGION, endpoint, ...KEYS, ...role }), []);
      await assert.rejects(prepared.open(openContext(AbortSignal.timeout(30_000), [])), {
        code: "unavailable",
        message: /no AWS credentials .*assumeRoleArn/,
      });
    } finally {
      if (before === undefined) delete process.env.AWS_ENDPOINT_URL_STS;
      else process.env.AWS_ENDPOINT_URL_STS = before;
    }
  });
});
