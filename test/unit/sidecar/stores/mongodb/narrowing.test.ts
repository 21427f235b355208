// Queries whose filter MongoDB looks for by itself: what it leaves out, and how far one call looks.
import assert from "node:assert/strict";
import { narrowingOf } from "#sidecar/state/query/narrowing.ts";
import { parseQuery } from "#sidecar/state/query/parse.ts";
import type { ListedRow, Store } from "#sidecar/stores/store.ts";
import { describeWithMongodb } from "#test/servers/mongodb.ts";
import { call, onOneServer, write } from "./fixture.ts";

/** The endings of the keys that a walk tells for a filter. */
async function told(store: Store, filter: unknown, range = { scope: "app||", start: "app||" }): Promise<string[]> {
  const read = parseQuery(Buffer.from(JSON.stringify({ filter })));
  const where = read.filter === null ? null : narrowingOf(read.filter);
  const rows: ListedRow[] = [];
  for (let after: string | null = null, pages = 0; pages < 100; pages++) {
    const page: Awaited<ReturnType<NonNullable<Store["list"]>>> | undefined = await store.list?.(
      { range, after, limit: 1000, values: true, where },
      call,
    );
    assert.ok(page !== undefined);
    rows.push(...page.rows);
    after = page.next;
    if (after === null) return rows.map(({ key }) => key.slice("app||".length));
  }
  assert.fail("the walk does not end");
}

describeWithMongodb("queries that MongoDB narrows", () => {
  const { open, collection } = onOneServer();
  beforeEach(async () => {
    await collection().deleteMany({});
  });

  it("leave documents of other values with the server", async () => {
    const store = await open();
    const values = ['{"n":1}', '{"n":77}', '{"n":"77"}', '{"n":"b"}', '{"n":true}', '{"n":[77]}', '{"m":77}', '"text"'];
    for (const [index, value] of values.entries()) await store.set(write(`app||${index}`, value), call);
    const cases: readonly (readonly [unknown, readonly string[]])[] = [
      [{ EQ: { n: "b" } }, ["3", "7"]],
      [{ EQ: { n: 77 } }, ["1", "5", "7"]],
      [{ IN: { n: [true, "b"] } }, ["3", "4", "7"]],
      [{ GT: { n: 1 } }, ["1", "5", "7"]],
      [{ LT: { n: 2 } }, ["0", "7"]],
      [{ AND: [{ GTE: { n: 1 } }, { NEQ: { n: 5 } }, { LTE: { n: 1 } }] }, ["0", "7"]],
      [{ OR: [{ EQ: { n: "b" } }, { EQ: { m: 77 } }] }, ["3", "6", "7"]],
      // No whole number: its neighbours in a double may be others.
      [{ EQ: { n: 77.5 } }, ["0", "1", "2", "3", "4", "5", "6", "7"]],
    ];
    for (const [filter, keys] of cases) assert.deepEqual(await told(store, filter), keys, JSON.stringify(filter));
  });

  it("find what is behind many documents of actors and of other values, and nothing behind the range", async () => {
    const store = await open();
    const documents = (beginning: string, n: number) =>
      Array.from({ length: 12_000 }, (_, index) => ({
        _id: `${beginning}${String(index).padStart(5, "0")}`,
        value: { n },
        _etag: "e",
        _ttl: null,
      }));
    const ids = [...documents("app||a||", 77), ...documents("app||b", 1), ...documents("app||c||", 77)];
    const found = ["app||b05000x", "app||d", "apq||a"].map((_id) => ({
      _id,
      value: { n: 77 },
      _etag: "e",
      _ttl: null,
    }));
    await collection().insertMany([...ids, ...found] as object[]);
    assert.deepEqual(await told(store, { EQ: { n: 77 } }), ["b05000x", "d"]);
    const start = "app||b";
    assert.deepEqual(await told(store, { EQ: { n: 77 } }, { scope: "app||", start }), ["b05000x"]);
  }).timeout(120_000);
});
