// Transactions as batches: how changes of one key come together, and what each answer of a batch means.
import assert from "node:assert/strict";
import type { Change, Store } from "#sidecar/stores/store.ts";
import { call, deletion, hastyClock, onOneEndpoint, type Reply, upsert } from "./fixture.ts";

const metadata = { partitionKey: "p" };

/** A step as the service answers it. */
type Step = { readonly statusCode: number; readonly subStatusCode?: number; readonly retryAfterMilliseconds?: number };

describe("a transaction on Cosmos DB", () => {
  const { endpoint, open } = onOneEndpoint();

  function steps(...statuses: readonly (number | Step)[]): Reply {
    const answers = statuses.map((each) => (typeof each === "number" ? { statusCode: each } : each));
    return { status: answers.every(({ statusCode }) => statusCode < 300) ? 200 : 207, body: answers };
  }

  /** Operation and id of each step of a batch. */
  function stepsOf(body: string): readonly string[] {
    const sent: readonly { operationType: string; id?: string; resourceBody?: { id: string }; ifMatch?: string }[] =
      JSON.parse(body);
    return sent.map(({ operationType, id, resourceBody, ifMatch }) =>
      [operationType, id ?? resourceBody?.id, ifMatch].filter((part) => part !== undefined).join(" "),
    );
  }

  /** Answers every batch with a success of all of its steps. */
  const applied = ({ body }: { readonly body: string }): Reply => steps(...stepsOf(body).map(() => 200));

  async function batchOf(store: Store, changes: readonly Change[]): Promise<readonly string[]> {
    endpoint().taken();
    endpoint().reply = applied;
    await store.transact?.(changes, call);
    const [request, ...more] = endpoint().taken();
    assert.deepEqual([request !== undefined, more.length], [true, 0]);
    return stepsOf(request?.body ?? "[]");
  }

  const set = (key: string, more: object = {}): Change => upsert(key, "1", { metadata, ...more });
  const del = (key: string, more: object = {}): Change => deletion(key, { metadata, ...more });

  it("has one step for each key, the last change under all conditions before it", async () => {
    const store = await open();
    const [etag, firstWrite] = ['"1"', true];
    assert.deepEqual(await batchOf(store, [set("a"), set("a"), del("b"), set("b")]), ["Upsert a", "Upsert b"]);
    assert.deepEqual(await batchOf(store, [set("a", { etag }), set("a")]), [`Replace a ${etag}`]);
    assert.deepEqual(await batchOf(store, [set("a"), set("a", { etag })]), [`Replace a ${etag}`]);
    assert.deepEqual(await batchOf(store, [set("a", { etag }), del("a")]), [`Delete a ${etag}`]);
    assert.deepEqual(await batchOf(store, [set("a", { firstWrite }), set("a")]), ["Create a"]);
    assert.deepEqual(await batchOf(store, [set("a", { firstWrite }), del("a")]), ["Create a", "Delete a"]);
    assert.deepEqual(await batchOf(store, [del("a", { firstWrite })]), ["Create a", "Delete a"]);
  });

  it("is a conflict when no state meets its conditions, and is not sent", async () => {
    const store = await open();
    for (const changes of [
      [set("a", { etag: '"1"' }), del("a", { etag: '"2"' })],
      [set("a", { firstWrite: true }), set("a", { etag: '"1"' })],
      [set("a", { etag: '"1"' }), set("a", { firstWrite: true })],
      [set("b"), set("a", { etag: "*" })],
    ])
      await assert.rejects(async () => store.transact?.(changes, call), {
        code: "etag-mismatch",
        message: /^change 2 of 2/,
      });
    assert.equal(endpoint().taken().length, 0);
  });

  it("is refused before anything is sent when its keys lie in different partitions", async () => {
    const store = await open();
    const other = { partitionKey: "q" };
    for (const changes of [
      [upsert("a", "1"), upsert("b", "1")],
      [set("a"), upsert("b", "1", { metadata: other })],
      [set("a"), deletion("b", { metadata: other })],
      [set("a"), deletion("b")],
    ])
      await assert.rejects(async () => store.transact?.(changes, call), {
        code: "refused",
        message: /different partitions.*same metadata partitionKey/,
      });
    assert.equal(endpoint().taken().length, 0);
  });

  it("takes changes of one key without metadata, in the key's own partition", async () => {
    const store = await open();
    endpoint().reply = applied;
    await store.transact?.([upsert("a", "1"), upsert("a", "2")], call);
    const [request] = endpoint().taken();
    assert.equal(request?.headers["x-ms-documentdb-partitionkey"], '["a"]');
    assert.equal(JSON.parse(request?.body ?? "")[0].resourceBody.value, 2);
  });

  it("is refused before anything is sent when it has more bytes than a batch", async () => {
    const store = await open();
    const large = JSON.stringify("x".repeat(1_100_000));
    const changes = ["a", "b"].map((key) => upsert(key, large, { metadata }));
    await assert.rejects(async () => store.transact?.(changes, call), {
      code: "refused",
      message: /2097152 bytes together/,
    });
    assert.equal(endpoint().taken().length, 0);
  });

  it("puts something there to delete when a delete finds nothing, in one batch still", async () => {
    const store = await open();
    const batches: (readonly string[])[] = [];
    endpoint().reply = ({ body }) => {
      batches.push(stepsOf(body));
      return batches.length === 1 ? steps(424, 404) : applied({ body });
    };
    await store.transact?.([set("a"), del("b")], call);
    assert.deepEqual(batches, [
      ["Upsert a", "Delete b"],
      ["Upsert a", "Upsert b", "Delete b"],
    ]);
  });

  it("says so when there is no room for that, and nothing was written", async () => {
    const store = await open();
    const changes = Array.from({ length: 60 }, (_, index) => del(`k${index}`));
    endpoint().reply = () => steps(404, ...new Array(59).fill(424));
    await assert.rejects(async () => store.transact?.(changes, call), {
      code: "refused",
      message: /takes 120 operations .* at most 100: a delete of what is not there counts as two/,
    });
    assert.equal(endpoint().taken().length, 1);
  });

  for (const [statuses, changes, code, message] of [
    [[424, 412], [set("a"), set("b", { etag: '"1"' })], "etag-mismatch", /^change 2 of 2: the value has another etag/],
    [[424, 404], [set("a"), set("b", { etag: '"1"' })], "etag-mismatch", /^change 2 of 2: there is no value/],
    [[404, 424], [del("b", { etag: '"1"' }), set("a")], "etag-mismatch", /^change 1 of 2: there is no value/],
    [[424, 409], [set("a"), set("b", { firstWrite: true })], "etag-mismatch", /^change 2 of 2: item already exists/],
    [
      [424, 409, 424],
      [set("a"), del("b", { firstWrite: true })],
      "etag-mismatch",
      /^change 2 of 2: item already exists/,
    ],
    [[424, 413], [set("a"), set("b")], "refused", /^change 2 of 2: .*of this size/],
    [[424, 409], [set("a"), set("b")], "failed", /^change 2 of 2: .*\(status 409/],
    [[424, 500], [set("a"), set("b")], "unknown-outcome", /^change 2 of 2: .*may have happened/],
    [[424, 424], [set("a"), set("b")], "failed", /applied nothing of the transaction/],
    [[200, 200, 200], [set("a"), set("b")], "unknown-outcome", /no answer of it; the write may have happened/],
    [[200], [set("a"), set("b")], "unknown-outcome", /no answer of it; the write may have happened/],
  ] as const)
    it(`with steps answered ${statuses.join(", ")} is ${code} for ${changes.map(({ kind }) => kind).join(", ")}`, async () => {
      const store = await open({}, { clock: hastyClock() });
      endpoint().reply = () => steps(...statuses);
      await assert.rejects(async () => store.transact?.(changes, call), { name: "StoreError", code, message });
      assert.equal(endpoint().taken().length, 1);
    });

  for (const statusCode of [429, 449])
    it(`is sent again after the pause that a step answered ${statusCode} wants`, async () => {
      const clock = hastyClock();
      const store = await open({}, { clock });
      endpoint().reply = ({ body }, count) =>
        count < 3 ? steps(424, { statusCode, subStatusCode: 3200, retryAfterMilliseconds: 70 }) : applied({ body });
      await store.transact?.([set("a"), set("b")], call);
      assert.deepEqual([clock.pausesMs, endpoint().taken().length], [[70, 70], 3]);
    });
});
