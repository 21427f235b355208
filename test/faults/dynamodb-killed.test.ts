// A DynamoDB Local that is killed and started again while writers write through a sidecar: what was acknowledged is there,
// no transaction is there by half, every error is an answer, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { type DynamoServer, describeWithDynamo, KEYS, REGION, startDynamo } from "#test/servers/dynamodb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const WRITERS = 6;
const WAIT_MS = 25_000;

async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!condition()) {
    assert.ok(Date.now() < end, `not within ${WAIT_MS} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describeWithDynamo("a DynamoDB that goes away", () => {
  let server: DynamoServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(60_000);
    server = await startDynamo();
    proxy = await TcpProxy.start(server);
    const table = await server.createTable();
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    const manifest = component("statestore", "state.aws.dynamodb", { table, region: REGION, endpoint, ...KEYS });
    wire = await startWire({ manifests: { "a.yaml": manifest } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await server.stop();
  });

  const number = async (key: string): Promise<number> =>
    Number((await ask(wire, "GET", `${STORE}/${key}?consistency=strong`)).text);

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(90_000);
    /** Per writer: the last number that was acknowledged, and the last that was sent. */
    const acknowledged = new Array<number>(WRITERS).fill(0);
    const sent = new Array<number>(WRITERS).fill(0);
    let stopped = false;
    const write = async (writer: number): Promise<void> => {
      for (let value = 1; !stopped; value++) {
        sent[writer] = value;
        const operations = ["left", "right"].map((side) => ({
          operation: "upsert",
          request: { key: `${side}${writer}`, value },
        }));
        const { status, text } = await ask(wire, "POST", `${STORE}/transaction`, { operations });
        assert.ok(status === 204 || status === 500, `status ${status}: ${text}`);
        if (status === 204) acknowledged[writer] = value;
        else assert.match(text, /DynamoDB at 127\.0\.0\.1:\d+/);
      }
    };
    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    const goesOn = async (): Promise<void> => {
      const before = [...acknowledged];
      await until(() => acknowledged.every((value, writer) => value > (before[writer] ?? 0) + 3));
    };
    for (let turn = 0; turn < 2; turn++) {
      await goesOn();
      await server.kill9();
      await server.restart();
    }
    await goesOn();
    proxy.cut();
    await goesOn();
    stopped = true;
    await writing;
    for (let writer = 0; writer < WRITERS; writer++) {
      const [left, right] = [await number(`left${writer}`), await number(`right${writer}`)];
      assert.equal(left, right, "half a transaction");
      assert.ok(left >= (acknowledged[writer] ?? 0), `${acknowledged[writer]} was acknowledged, ${left} is there`);
      assert.ok(left <= (sent[writer] ?? 0));
    }
  });

  it("says in time that a write may have happened when nothing comes back, and goes on", async function () {
    this.timeout(30_000);
    await save(wire, "hang", "1");
    proxy.mode = "black-hole";
    const answer = await ask(wire, "POST", STORE, [{ key: "hang", value: 2 }]);
    assert.equal(answer.status, 500);
    assert.match(answer.text, /no answer from DynamoDB at 127\.0\.0\.1:\d+ in time; the write may have happened/);
    proxy.mode = "pass";
    await save(wire, "hang", "3");
    assert.equal(await number("hang"), 3);
  });

  it("says at once that nothing was written when nobody listens", async () => {
    await save(wire, "gone", "1");
    proxy.mode = "refuse";
    proxy.cut();
    const port = proxy.port;
    await proxy.stop();
    const answer = await ask(wire, "POST", STORE, [{ key: "gone", value: 2 }]);
    assert.equal(answer.status, 500);
    assert.match(answer.text, new RegExp(`cannot connect to DynamoDB at 127\\.0\\.0\\.1:${port}: ECONNREFUSED`));
    assert.doesNotMatch(answer.text, /may have happened/);
  });
});
