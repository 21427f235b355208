// docs/samples.md, rows api-*: the reference of the state API, releases 0.1 to 1.14. Its examples name no type of store:
// those on the store "starwars" run on SQLite here, those that show ETags of Redis on Redis.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ask, errorOf, STORE } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { describeOnRedis } from "./redis-bench.ts";

const JSON_TYPE = { "content-type": "application/json" };
const STARWARS = "/v1.0/state/starwars";
/** As the pages have it: the white space inside is a part of the value. */
const PLANET = `{
            "name": "Tatooine"
          }`;

describe("the API reference", () => {
  let folder: string;
  let wire: WireSidecar;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pannier-samples-"));
    const connectionString = join(folder, "state.db");
    wire = await startWire({ manifests: { "a.yaml": component("starwars", "state.sqlite", { connectionString }) } });
  });
  after(async () => {
    await wire.stop();
    await rm(folder, { recursive: true });
  });

  const text = async (key: string): Promise<string> => (await ask(wire, "GET", `${STARWARS}/${key}`)).text;
  const etagOf = async (key: string): Promise<string> =>
    String((await ask(wire, "GET", `${STARWARS}/${key}`)).headers.etag);
  const weapon = (etag: string, more = ""): string =>
    `[{ "key": "weapon", "value": "DeathStar", "etag": "${etag}", "options": { "concurrency": "first-write", "consistency": "strong"${more} } }]`;

  it("api-1: writes the item without ETag and names the one whose ETag nothing has", async () => {
    const body = `[{ "key": "weapon", "value": "DeathStar", "etag": "1234" }, { "key": "planet", "value": ${PLANET} }]`;
    const answer = await ask(wire, "POST", `${STARWARS}?metadata.contentType=application/json`, body, JSON_TYPE);
    assert.equal(answer.status, 409);
    assert.match(errorOf(answer).message, /1 of 2 items failed: key "weapon"/);
    assert.deepEqual([await text("weapon"), await text("planet")], ["", PLANET]);
  });

  it("api-2: saves the two items of the first releases, and reads with a content type or metadata", async () => {
    const body = `[{ "key": "weapon", "value": "DeathStar" }, { "key": "planet", "value": ${PLANET} }]`;
    assert.equal((await ask(wire, "POST", STARWARS, body, JSON_TYPE)).status, 204);
    for (const query of ["", "?metadata.contentType=application/json", "?metadata.partitionKey=mypartitionKey"])
      assert.equal((await ask(wire, "GET", `${STARWARS}/planet${query}`, undefined, JSON_TYPE)).text, PLANET);
  });

  it("api-3: reads in bulk with parallelism, by POST and PUT, with metadata", async () => {
    const body = '{ "keys": [ "weapon", "planet" ], "parallelism": 10 }';
    for (const method of ["POST", "PUT"]) {
      const answer = await ask(wire, method, `${STARWARS}/bulk?metadata.partitionKey=mypartitionKey`, body, JSON_TYPE);
      const items: { key: string; data: unknown; etag: string }[] = JSON.parse(answer.text);
      assert.deepEqual(
        items.map(({ key, data, etag }) => [key, data, typeof etag]),
        [
          ["weapon", "DeathStar", "string"],
          ["planet", { name: "Tatooine" }, "string"],
        ],
      );
    }
  });

  it("api-4: saves with all options", async () => {
    assert.equal((await ask(wire, "POST", STARWARS, weapon("xxxxx"), JSON_TYPE)).status, 409);
    assert.equal((await ask(wire, "POST", STARWARS, weapon(await etagOf("weapon")), JSON_TYPE)).status, 204);
  });

  it("api-5: saves with the retry policy of the first releases", async () => {
    const policy = ', "retryPolicy": { "interval": 100, "threshold" : 3, "pattern": "exponential" }';
    assert.equal((await ask(wire, "POST", STARWARS, weapon(await etagOf("weapon"), policy), JSON_TYPE)).status, 204);
  });

  it("api-6: saves with an expiry in the URL", async () => {
    const body = '[{ "key": "weapon", "value": "DeathStar" }]';
    assert.equal((await ask(wire, "POST", `${STARWARS}?metadata.ttlInSeconds=120`, body, JSON_TYPE)).status, 204);
    const { headers } = await ask(wire, "GET", `${STARWARS}/weapon`);
    assert.notEqual(headers["metadata.ttlexpiretime"], undefined);
  });

  it("api-7: runs a transaction with metadata of its own, by POST and PUT", async () => {
    const body = `{ "operations": [ { "operation": "upsert", "request": { "key": "key1", "value": "myData" } },
        { "operation": "delete", "request": { "key": "key2" } } ], "metadata": { "partitionKey": "planet" } }`;
    for (const method of ["POST", "PUT"]) {
      const path = `${STARWARS}/transaction?metadata.contentType=application/json`;
      assert.equal((await ask(wire, method, path, body, JSON_TYPE)).status, 204);
    }
    assert.equal(await text("key1"), '"myData"');
  });

  it("api-8: deletes with If-Match: a made-up ETag is a conflict", async () => {
    const remove = async (etag: string): Promise<number> =>
      (await ask(wire, "DELETE", `${STARWARS}/planet`, undefined, { "if-match": etag })).status;
    assert.deepEqual([await remove("xxxxxxx"), await remove(await etagOf("planet"))], [409, 204]);
  });

  it("api-9: deletes with the header that the first releases show, which is no condition", async () => {
    await ask(wire, "POST", STARWARS, `[{ "key": "planet", "value": ${PLANET} }]`);
    assert.equal((await ask(wire, "DELETE", `${STARWARS}/planet`, undefined, { ETag: "xxxxxxx" })).status, 204);
    assert.equal(await text("planet"), "");
  });

  it("api-10: deletes with options and retries in the URL", async () => {
    const options = "concurrency=last-write&consistency=strong&metadata.contentType=application/json";
    const retries = "retryInterval=100&retryPattern=linear&retryThreshold=3";
    assert.equal((await ask(wire, "DELETE", `${STARWARS}/weapon?${options}&${retries}`)).status, 204);
    assert.equal(await text("weapon"), "");
  });
});

describeOnRedis("the API reference on ETags", { appId: "nodeapp", stores: { statestore: {} } }, (bench) => {
  const save = async (value: string, etag: string | null): Promise<number> => {
    const item = { key: "sampleData", value, ...(etag === null ? {} : { etag }) };
    return (await ask(bench.wire, "POST", STORE, [item], JSON_TYPE)).status;
  };
  const remove = async (etag: string): Promise<number> =>
    (await ask(bench.wire, "DELETE", `${STORE}/sampleData`, undefined, { "if-match": etag })).status;

  it("api-11: gives 1 to the first save, refuses wrong ETags and takes the right ones", async () => {
    assert.equal(await save("1", null), 204);
    const read = await ask(bench.wire, "GET", `${STORE}/sampleData`);
    assert.deepEqual([read.status, read.headers.etag, read.text], [200, "1", '"1"']);
    assert.deepEqual([await save("2", "2"), await remove("5")], [409, 409]);
    assert.equal(await save("2", "1"), 204);
    // The page's last line deletes with the ETag from before the update.
    assert.deepEqual([await remove("1"), await remove("2")], [409, 204]);
  });
});
