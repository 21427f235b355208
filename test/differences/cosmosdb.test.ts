// The rows of docs/differences.md that show on Cosmos DB: over HTTP against Vercel's emulator, and where that lacks what it
// takes, against an endpoint that answers as the service does.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { COLLECTION, type CosmosServer, describeWithCosmosdb, startCosmosdb } from "#test/servers/cosmosdb.ts";
import {
  call,
  deletion,
  onOneEndpoint,
  openStore,
  read,
  upsert,
  write,
} from "#test/unit/sidecar/stores/cosmosdb/fixture.ts";
import { ask, STORE, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithCosmosdb("differences on Cosmos DB", () => {
  let server: CosmosServer;
  let wire: WireSidecar;
  let store: Store;

  before(async () => {
    server = await startCosmosdb();
    const timeless = "timeless";
    await server.createContainer(timeless, { defaultTtl: null });
    const usual = component("statestore", "state.azure.cosmosdb", { ...server.fields, keyPrefix: "none" });
    const other = component("timeless", "state.azure.cosmosdb", { ...server.fields, collection: timeless });
    wire = await startWire({ manifests: { "a.yaml": usual, "b.yaml": other } });
    store = await openStore(server.fields);
  });
  after(async () => {
    await store.close();
    await wire.stop();
    await server.stop();
  });

  const put = async (item: object, to: string = STORE): Promise<number> => (await ask(wire, "POST", to, [item])).status;
  const count = async (id: string): Promise<number> => {
    const query = { query: "SELECT c.id FROM c WHERE c.id = @id", parameters: [{ name: "@id", value: id }] };
    return (await server.container.items.query(query).fetchAll()).resources.length;
  };

  it("CZ1: an ETag on a missing document is a conflict, and creates nothing", async () => {
    const etag = "3a9e4cbb-0000-0000-0000-000000000000";
    assert.equal(await put({ key: "cz1", value: 1, etag }), 409);
    assert.equal((await ask(wire, "DELETE", `${STORE}/cz1`, undefined, { "if-match": etag })).status, 409);
    assert.equal(await count("cz1"), 0);
  });

  it("CZ2: a transaction over partitions is refused before anything is written", async () => {
    const operations = ["cz2-a", "cz2-b"].map((key) => ({ operation: "upsert", request: { key, value: 1 } }));
    const { status, text } = await ask(wire, "POST", `${STORE}/transaction`, { operations });
    assert.equal(status, 400);
    assert.match(text, /different partitions.*partitionKey/);
    assert.deepEqual([await count("cz2-a"), await count("cz2-b")], [0, 0]);
  });

  it("CZ4: a document that never expires tells no time of expiry", async () => {
    await server.container.items.upsert({ id: "cz4", value: 1, isBinary: false, partitionKey: "cz4", ttl: -1 });
    const { status, headers } = await ask(wire, "GET", `${STORE}/cz4`);
    assert.deepEqual([status, headers["metadata.ttlexpiretime"]], [200, undefined]);
  });

  it("CZ5: a TTL is refused where the container's time to live is off, and the start says so", async () => {
    const item = { key: "cz5", value: 1, metadata: { ttlInSeconds: "60" } };
    assert.equal(await put(item, "/v1.0/state/timeless"), 400);
    assert.equal(await put(item), 204);
    assert.match(wire.log.join(""), /no default time to live.*timeless/);
    assert.doesNotMatch(wire.log.join(""), new RegExp(`no default time to live.*/${COLLECTION}`));
  });

  it("CZ7: a bulk get finds a document in its own partition only, or in the one that is named", async () => {
    await save(wire, "cz7", '"mine"');
    for (const key of ["cz7", "cz7-other"])
      await server.container.items.upsert({ id: key, value: "elsewhere", isBinary: false, partitionKey: "p" });
    const bulk = async (metadata: object): Promise<unknown> => {
      const { text } = await ask(wire, "POST", `${STORE}/bulk`, { keys: ["cz7", "cz7-other"], metadata });
      const items: readonly { data?: unknown }[] = JSON.parse(text);
      return items.map(({ data }) => data ?? null);
    };
    assert.deepEqual(await bulk({}), ["mine", null]);
    assert.deepEqual(await bulk({ partitionKey: "p" }), ["elsewhere", "elsewhere"]);
  });

  it("CZ8: raw bytes come back byte by byte, whatever they and contentType are", async () => {
    const texts = await openStore({ ...server.fields, contentType: "text/plain" });
    try {
      for (const each of [store, texts])
        for (const text of ['{"b":1}', '{ "b" : 1.0 }', "null", "hello", ""]) {
          await each.set(write("cz8", text, { isJson: false }), call);
          assert.equal(Buffer.from((await each.get("cz8", read, call))?.bytes ?? "none").toString(), text);
        }
    } finally {
      await texts.close();
    }
  });

  it("CZ9: a double is told with all its digits, and a number that is none is refused", async () => {
    await save(wire, "cz9", "3.141592653589793");
    assert.equal((await ask(wire, "GET", `${STORE}/cz9`)).text, "3.141592653589793");
    const answer = await ask(wire, "POST", STORE, '[{"key":"cz9","value":9007199254740993}]');
    assert.equal(answer.status, 400);
    assert.match(answer.text, /no double.*lossyValues/);
  });

  it("CZ10: a key with a slash or a backslash is kept", async () => {
    for (const key of ["cz10/a", "cz10\\a"]) await save(wire, key, JSON.stringify(key));
    for (const key of ["cz10/a", "cz10\\a"])
      assert.equal((await ask(wire, "GET", `${STORE}/${encodeURIComponent(key)}`)).text, JSON.stringify(key));
  });
});

describe("differences on Cosmos DB, by answers of our own", () => {
  const { endpoint, open } = onOneEndpoint();
  const metadata = { partitionKey: "p" };

  it("CZ3: a delete that finds nothing is a success in a transaction, and conditions are of the state before", async () => {
    const store = await open();
    endpoint().reply = (_request, turn) => {
      const [failed, done] = [[{ statusCode: 424 }, { statusCode: 404 }], new Array(3).fill({ statusCode: 200 })];
      return turn === 1 ? { status: 207, body: failed } : { status: 200, body: done };
    };
    await store.transact?.([upsert("a", "1", { metadata }), deletion("b", { metadata })], call);
    assert.equal(endpoint().taken().length, 2);
    endpoint().reply = () => ({ status: 200, body: [{ statusCode: 200 }] });
    await store.transact?.([upsert("a", "1", { metadata }), upsert("a", "2", { metadata, etag: '"1"' })], call);
    const [step] = JSON.parse(endpoint().taken()[0]?.body ?? "[]");
    assert.deepEqual([step.operationType, step.ifMatch, step.resourceBody.value], ["Replace", '"1"', 2]);
  });

  it("CZ6: no request asks for a consistency level, and reads carry the session", async () => {
    const store = await open();
    const body = { id: "k", value: 1, isBinary: false, partitionKey: "k" };
    endpoint().reply = () => ({ status: 200, headers: { "x-ms-session-token": "0:-1#5" }, body });
    for (const strong of [false, true]) {
      await store.set(write("k", "1", { strong }), call);
      await store.get("k", { strong, metadata: {} }, call);
    }
    const requests = endpoint().taken();
    assert.equal(requests.length, 4);
    for (const { method, headers } of requests) {
      assert.equal(headers["x-ms-consistency-level"], undefined);
      assert.equal(headers["x-ms-session-token"], method === "GET" ? "0:-1#5" : undefined);
    }
  });
});
