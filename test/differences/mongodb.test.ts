// The rows of docs/differences.md that show on MongoDB: over HTTP against mongo-java-server, and for transactions against a
// stand-in for a replica set.
import assert from "node:assert/strict";
import type { Document, MongoClient } from "mongodb";
import { addressOf } from "#sidecar/stores/mongodb/address.ts";
import { describeWithMongodb, type MongodbServer, startMongodb } from "#test/servers/mongodb.ts";
import { MongodbStandIn } from "#test/servers/mongodb-stand-in.ts";
import { prepare } from "#test/unit/sidecar/stores/mongodb/fixture.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithMongodb("differences on MongoDB", () => {
  let server: MongodbServer;
  let client: MongoClient;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    server = await startMongodb();
    client = await server.connect();
    const manifest = component("statestore", "state.mongodb", { host: server.address });
    wire = await startWire({ manifests: { "a.yaml": manifest } });
  });
  after(async () => {
    await wire.stop();
    await client.close();
    await server.stop();
  });

  const put = async (item: object): Promise<number> => (await ask(wire, "POST", STORE, [item])).status;
  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STORE}/${key}`)).text;
  const documents = () => client.db("daprStore").collection<Document>("daprCollection");
  const expire = (key: string): Promise<unknown> =>
    documents().updateOne({ _id: { $regex: `${key}$` } } as Document, { $set: { _ttl: new Date(0) } });

  it("MG1: a string that begins with a dollar is a string, and an object takes the place of the one before", async () => {
    await save(wire, "mg1", '{"price":"$value","a":{"b":1}}');
    assert.deepEqual(JSON.parse(await text("mg1")), { price: "$value", a: { b: 1 } });
    await save(wire, "mg1", '{"a":{"c":2}}');
    assert.equal(await text("mg1"), '{"a":{"c":2}}');
  });

  it("MG2: an ETag on a missing or an expired key is a conflict", async () => {
    assert.equal(await put({ key: "mg2", value: 1, etag: "7f3c1d0e-4b2a-4c55-9d7e-0a1b2c3d4e5f" }), 409);
    assert.equal(await text("mg2"), "");
    await save(wire, "mg2", "1");
    const { etag } = (await ask(wire, "GET", `${STORE}/mg2`)).headers;
    await expire("mg2");
    assert.equal(await put({ key: "mg2", value: 2, etag }), 409);
  });

  it("MG3: first-write over an expired document writes", async () => {
    const item = { key: "mg3", value: 2, options: { concurrency: "first-write" } };
    await save(wire, "mg3", "1");
    assert.equal(await put(item), 409);
    await expire("mg3");
    assert.equal(await put(item), 204);
    assert.equal(await text("mg3"), "2");
  });

  it("MG6: what BSON would change is kept to the last byte, and whole numbers of 64 bits stay numbers", async () => {
    await save(wire, "mg6", '{"id":9007199254740993}');
    assert.equal(await text("mg6"), '{"id":9007199254740993}');
    const long = await documents().findOne({ _id: { $regex: "mg6$" } } as Document, { useBigInt64: true });
    assert.deepEqual(long?.value, { id: 9007199254740993n });
    const odd = '{"a":1,"a":2, "pi":3.14159265358979323846, "$set":{"x.y":1}}';
    await save(wire, "mg6", odd);
    assert.equal(await text("mg6"), odd);
  });

  it("MG7: user and password may hold any character", () => {
    const fields = { host: "mongo", username: "a:b", password: "p@/?#%" };
    assert.deepEqual(prepare(fields).faults, []);
    const defaults = { connectionString: "", server: "", databaseName: "d", collectionName: "c", params: "" };
    const { uri } = addressOf({ ...fields, ...defaults, writeConcern: "", readConcern: "", operationTimeout: 1 });
    assert.equal(uri, "mongodb://a%3Ab:p%40%2F%3F%23%25@mongo/d");
  });

  it("MG8: operationTimeout holds for every request", async () => {
    const manifest = component("statestore", "state.mongodb", { host: server.address, operationTimeout: "4s" });
    const other = await startWire({ manifests: { "a.yaml": manifest } });
    server.pause();
    try {
      const { status, text: said } = await ask(other, "GET", `${STORE}/mg8`);
      assert.equal(status, 500, said);
      assert.match(said, /no answer from mongodb at [\d.:]+ within operationTimeout/);
    } finally {
      server.resume();
      await other.stop();
    }
  });
});

describe("differences on a replica set of MongoDB", () => {
  const operations = [{ operation: "upsert", request: { key: "k", value: 1 } }];
  let standIn: MongodbStandIn;
  let wire: WireSidecar;

  before(async () => {
    standIn = await MongodbStandIn.start();
    const manifest = component("statestore", "state.mongodb", { host: standIn.address });
    wire = await startWire({ manifests: { "a.yaml": manifest } });
  });
  after(async () => {
    await wire.stop();
    await standIn.stop();
  });

  it("MG4: a commit that fails is an error", async () => {
    standIn.answer("commitTransaction", { ok: 0, code: 8, errmsg: "no" });
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations })).status, 500);
    assert.equal((await ask(wire, "POST", `${STORE}/transaction`, { operations })).status, 204);
  });

  it("MG9: the write concern of the connection string counts", async () => {
    const manifest = component("statestore", "state.mongodb", { host: standIn.address, params: "w=majority" });
    const other = await startWire({ manifests: { "a.yaml": manifest } });
    try {
      standIn.commands.length = 0;
      await save(other, "mg9", "1");
      assert.equal(standIn.told("update")[0]?.body.writeConcern?.w, "majority");
    } finally {
      await other.stop();
    }
  });

  it("MG5: transactions are there by what the servers say, and not by the connection string", async () => {
    const features = async (of: WireSidecar): Promise<boolean> =>
      JSON.parse((await ask(of, "GET", "/pannier/v1/state/statestore")).text).features.transactions;
    assert.equal(await features(wire), true);
    const alone = await MongodbStandIn.start({ hello: { setName: undefined, hosts: undefined, primary: undefined } });
    const manifest = component("statestore", "state.mongodb", { host: alone.address });
    const other = await startWire({ manifests: { "a.yaml": manifest } });
    try {
      assert.equal(await features(other), false);
      assert.equal((await ask(other, "POST", `${STORE}/transaction`, { operations })).status, 500);
    } finally {
      await other.stop();
      await alone.stop();
    }
  });
});
