// A DynamoDB Local that is killed and started again while writers write through a sidecar: what was acknowledged is there,
// no transaction is there by half, every error is an answer, and the sidecar goes on by itself.
import assert from "node:assert/strict";
import { type DynamoServer, describeWithDynamo, KEYS, REGION, startDynamo } from "#test/servers/dynamodb.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

describeWithDynamo("a DynamoDB that goes away", () => {
  let server: DynamoServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
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

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(300_000);
    const refused = (text: string): void => assert.match(text, /DynamoDB at 127\.0\.0\.1:\d+/);
    const writing = { wire, writers: 6, by: "transaction", strongReads: true, refused } as const;
    await whileWriting(writing, async (writers) => {
      for (let turn = 0; turn < 2; turn++) {
        await writers.goOn(4);
        await server.kill9();
        await server.restart();
      }
      await writers.goOn(4);
      proxy.cut();
      await writers.goOn(4);
    });
  });

  it("says in time that a write may have happened when nothing comes back, and goes on", async function () {
    this.timeout(300_000);
    await save(wire, "hang", "1");
    proxy.mode = "black-hole";
    const answer = await ask(wire, "POST", STORE, [{ key: "hang", value: 2 }]);
    assert.equal(answer.status, 500);
    assert.match(answer.text, /no answer from DynamoDB at 127\.0\.0\.1:\d+ in time; the write may have happened/);
    proxy.mode = "pass";
    await save(wire, "hang", "3");
    assert.equal((await ask(wire, "GET", `${STORE}/hang?consistency=strong`)).text, "3");
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
