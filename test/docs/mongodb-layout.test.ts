// What the page of state.mongodb shows for looking into the store: each command as printed there, by a client of its own,
// against what a sidecar has written.
import assert from "node:assert/strict";
import { runInNewContext } from "node:vm";
import type { Document, MongoClient } from "mongodb";
import { describeWithMongodb, type MongodbServer, startMongodb } from "#test/servers/mongodb.ts";
import { save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

/** `db.COLLECTION.find(…)` or `db.COLLECTION.aggregate(…)`. */
const COMMAND = /^db\.(\w+)\.(find|aggregate)\((.*)\)$/;

describeWithMongodb("a look into MongoDB", () => {
  let server: MongodbServer;
  let client: MongoClient;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    server = await startMongodb();
    client = await server.connect();
    const manifest = component("statestore", "state.mongodb", { host: server.address });
    wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "myapp" } });
  });
  after(async () => {
    await wire.stop();
    await client.close();
    await server.stop();
  });

  /** The documents that a command prints; its arguments are JavaScript there too. */
  async function run(command: string): Promise<readonly Document[]> {
    const [, name = "", method, args] = COMMAND.exec(command) ?? [];
    const [first, second]: readonly Document[] = runInNewContext(`[${args}]`);
    const collection = client.db("daprStore").collection(name);
    if (method === "find") return collection.find(first ?? {}, { projection: second ?? {} }).toArray();
    const stages: unknown = JSON.parse(
      JSON.stringify(first, (_, each) => (each?.source === undefined ? each : { $regex: each.source })),
    );
    assert.ok(Array.isArray(stages));
    return collection.aggregate(stages).toArray();
  }

  it("shows one value, the keys of an app, the state of an actor, and an average over actors", async () => {
    const [block, ...more] = readPage("docs/stores/mongodb.md").blocks.filter(({ language }) => language === "js");
    assert.deepEqual([block !== undefined, more], [true, []]);
    const commands = (block?.text ?? "").trim().split("\n");
    assert.ok(
      commands.every((command) => COMMAND.test(command)),
      commands.join("\n"),
    );
    await save(wire, "order", '{"a":1}');
    // The state of actors takes transactions, which this server has not: as Dapr lays it out.
    const pets = Object.entries({ leroy: 4, rex: 7 }).map(([id, age]) => ({
      _id: `myapp||mypets||${id}||age`,
      value: age,
      _etag: "e",
      _ttl: null,
    }));
    await client
      .db("daprStore")
      .collection<Document>("daprCollection")
      .insertMany(pets as Document[]);
    const [value, keys, state, average] = await Promise.all(commands.map(run));
    assert.deepEqual(
      value?.map((row) => [row._id, row.value, row._ttl]),
      [["myapp||order", { a: 1 }, null]],
    );
    assert.deepEqual(keys?.map(({ _id, ...rest }) => [_id, rest]).sort(), [
      ["myapp||mypets||leroy||age", {}],
      ["myapp||mypets||rex||age", {}],
      ["myapp||order", {}],
    ]);
    assert.deepEqual(
      state?.map((row) => [row._id, row.value]),
      [["myapp||mypets||leroy||age", 4]],
    );
    assert.deepEqual(
      average?.map((row) => row.average),
      [5.5],
    );
  });
});
