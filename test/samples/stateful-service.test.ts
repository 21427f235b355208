// docs/samples.md, rows stateful-*: the how-to on a stateful service, whose first versions go back to release 0.1.
import assert from "node:assert/strict";
import { ask, errorOf } from "#test/wire/client.ts";
import { describeOnRedis } from "./redis-bench.ts";

const STORE = "/v1.0/state/redis-store";

/** Python's `requests.post(url, json=text)` with a text: it becomes one JSON string. */
function twiceEncoded(body: string): string {
  return JSON.stringify(body);
}

describeOnRedis("a stateful service", { appId: "myapp", stores: { "redis-store": {} } }, (bench) => {
  it("stateful-1: saves with strong consistency, the array encoded twice", async () => {
    const body = twiceEncoded('[{ "key": "k1", "value": "Some Data", "options": { "consistency": "strong" }}]');
    assert.equal((await ask(bench.wire, "POST", STORE, body)).status, 204);
    assert.equal(await bench.raw.hget("myapp||k1", "data"), '"Some Data"');
  });

  it("stateful-2: reads with the wish for strong consistency in a header, and gets an ETag", async () => {
    const answer = await ask(bench.wire, "GET", `${STORE}/k1`, undefined, { consistency: "strong" });
    assert.deepEqual([answer.status, answer.text, answer.headers.etag], [200, '"Some Data"', "1"]);
  });

  it("stateful-3: deletes with the wish for strong consistency in a header", async () => {
    assert.equal((await ask(bench.wire, "DELETE", `${STORE}/k1`, undefined, { consistency: "strong" })).status, 204);
    assert.equal(await bench.raw.exists("myapp||k1"), 0);
  });

  it("stateful-4: saves two items, and with eventual consistency or last-write", async () => {
    for (const body of [
      '[{ "key": "k1", "value": "Some Data"}, { "key": "k2", "value": "Some More Data"}]',
      '[{ "key": "k1", "value": "Some Data", "options": { "consistency": "eventual" }}]',
      '[{ "key": "k1", "value": "Some Data", "options": { "concurrency": "last-write" }}]',
    ])
      assert.equal((await ask(bench.wire, "POST", STORE, twiceEncoded(body))).status, 204);
    assert.equal(await bench.raw.hget("myapp||k1", "version"), "3");
  });

  it("stateful-5: refuses a made-up ETag with first-write, and takes the right one", async () => {
    const body = (etag: string): string =>
      twiceEncoded(
        `[{ "key": "k1", "value": "Some Data", "etag": "${etag}", "options": { "concurrency": "first-write" }}]`,
      );
    const refused = await ask(bench.wire, "POST", STORE, body("abc12345"));
    assert.deepEqual([refused.status, errorOf(refused).errorCode], [400, "ERR_STATE_SAVE"]);
    assert.equal((await ask(bench.wire, "POST", STORE, body("3"))).status, 204);
  });

  it("stateful-6: takes a header named etag for no condition", async () => {
    const headers = { consistency: "strong", etag: "abc12345" };
    assert.equal((await ask(bench.wire, "DELETE", `${STORE}/k1`, undefined, headers)).status, 204);
    assert.equal(await bench.raw.exists("myapp||k1"), 0);
  });

  it("stateful-7: reads an ETag, saves with it and deletes with the new one", async () => {
    await ask(bench.wire, "POST", STORE, '[{ "key": "key1", "value": "Old Data" }]');
    const read = await ask(bench.wire, "GET", `${STORE}/key1`, undefined, { concurrency: "first-write" });
    const item = { key: "key1", value: "New Data", etag: read.headers.etag, options: { concurrency: "first-write" } };
    const body = JSON.stringify([item]);
    assert.equal((await ask(bench.wire, "POST", STORE, twiceEncoded(body))).status, 204);
    const stale = await ask(bench.wire, "DELETE", `${STORE}/key1`, undefined, {
      "if-match": String(read.headers.etag),
    });
    assert.equal(stale.status, 409);
    const { etag } = (await ask(bench.wire, "GET", `${STORE}/key1`)).headers;
    const removed = await ask(bench.wire, "DELETE", `${STORE}/key1`, undefined, { "if-match": String(etag) });
    assert.equal(removed.status, 204);
  });

  it("stateful-8: answers 409 to a save that lost the race, and the retry with a new ETag succeeds", async () => {
    const save = async (etag: unknown): Promise<number> => {
      const item = { key: "key1", value: "New Data", etag, options: { concurrency: "first-write" } };
      return (await ask(bench.wire, "POST", STORE, twiceEncoded(JSON.stringify([item])))).status;
    };
    const etag = async (): Promise<unknown> => (await ask(bench.wire, "GET", `${STORE}/key1`)).headers.etag;
    await ask(bench.wire, "POST", STORE, '[{ "key": "key1", "value": "Old Data" }]');
    const before = await etag();
    await ask(bench.wire, "POST", STORE, '[{ "key": "key1", "value": "Of another" }]');
    assert.deepEqual([await save(before), await save(await etag())], [409, 204]);
  });
});
