// The rows of docs/differences.md on queries, over HTTP.
import assert from "node:assert/strict";
import { ask, errorOf, save } from "#test/wire/client.ts";
import { type Answer, component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const CALL = { signal: new AbortController().signal };

describe("differences of queries", () => {
  let wire: WireSidecar;

  beforeEach(async () => {
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.in-memory") } });
  });
  afterEach(() => wire.stop());

  const query = (body: unknown, parameters = ""): Promise<Answer> =>
    ask(wire, "POST", `/v1.0-alpha1/state/statestore/query${parameters}`, body);
  const keysOf = (answer: Answer): readonly string[] => {
    if (answer.status === 204) return [];
    const { results }: { results: readonly { key: string }[] } = JSON.parse(answer.text);
    return results.map(({ key }) => key);
  };

  /** Writes under a key of the store itself. */
  async function put(key: string, ttlSec: number | null = null): Promise<void> {
    const entry = wire.sidecar.stores.find("statestore");
    assert.ok(entry !== undefined);
    const plain = { isJson: true, etag: null, firstWrite: false, strong: false, metadata: {} };
    await entry.store.set({ ...plain, key, bytes: Buffer.from('{"a":1}'), ttlSec }, CALL);
  }

  it("Q1: a query sees the rows of its own prefix only, and no state of actors", async () => {
    for (const key of ["wire||own", "other||k", "wire||cat||leroy||food", "bare"]) await put(key);
    assert.deepEqual(keysOf(await query({ filter: { EQ: { a: 1 } } })), ["own"]);
  });

  it("Q2: a store without queries of its own can be queried, and no index has to be named", async () => {
    await save(wire, "k", '{"a":1}');
    const asked = { filter: { EQ: { a: 1 } } };
    assert.deepEqual(keysOf(await query(asked)), ["k"]);
    assert.deepEqual(keysOf(await query(asked, "?metadata.queryIndexName=none&metadata.partitionKey=none")), ["k"]);
  });

  it("Q3: values are compared by their type, exactly, and strings have an order too", async () => {
    await save(wire, "nine", '{"n":9,"s":"b"}');
    await save(wire, "large", '{"n":9007199254740993,"s":"a"}');
    assert.deepEqual(keysOf(await query({ filter: { LT: { n: 10 } } })), ["nine"]);
    assert.deepEqual(keysOf(await query('{"filter":{"EQ":{"n":9007199254740992}}}')), []);
    assert.deepEqual(keysOf(await query({ filter: { EQ: { n: "9" } } })), []);
    assert.deepEqual(keysOf(await query({ filter: { GT: { s: "a" } } })), ["nine"]);
    // At the top as within a group.
    assert.deepEqual(keysOf(await query({ filter: { NEQ: { n: 9 } } })), ["large"]);
  });

  it("Q4: a page begins behind the last row of the one before, whatever was deleted, and the last one has no token", async () => {
    for (const key of ["a", "b", "c"]) await save(wire, key, "{}");
    const first = await query({ page: { limit: 1 } });
    const { token }: { token: string } = JSON.parse(first.text);
    await ask(wire, "DELETE", "/v1.0/state/statestore/a");
    const second = await query({ page: { limit: 2, token } });
    assert.deepEqual([keysOf(second), "token" in JSON.parse(second.text)], [["b", "c"], false]);
  });

  it("Q5: an expired value is not found", async () => {
    await put("wire||short", 4);
    assert.deepEqual(keysOf(await query("{}")), ["short"]);
    const end = Date.now() + 30_000;
    while (keysOf(await query("{}")).length > 0) {
      assert.ok(Date.now() < end, "still found after 30 s");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });

  it("Q6: a member of the query that nobody knows is refused", async () => {
    const answer = await query({ filters: { EQ: { a: 1 } } });
    assert.equal(answer.status, 500);
    assert.match(errorOf(answer).message, /unknown member "filters", want filter, sort, page/);
  });

  it("Q7: a limit of a query is an error and never a shorter answer", async () => {
    const answer = await query({ page: { limit: 10_001 } });
    assert.equal(answer.status, 500);
    assert.match(errorOf(answer).message, /page\.limit: got 10001, want a whole number from 0 to 10000/);
  });
});
