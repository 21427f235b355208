// Queries whose filter PostgreSQL looks for by itself: what it leaves out, and how far a page looks.
import assert from "node:assert/strict";
import { narrowingOf } from "#sidecar/state/query/narrowing.ts";
import { parseQuery } from "#sidecar/state/query/parse.ts";
import { QUERY_ROWS_MAX } from "#sidecar/state/query/run.ts";
import { LOOKED_MAX } from "#sidecar/stores/sql/walk.ts";
import type { ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithPostgres } from "#test/servers/postgresql.ts";
import { asking } from "#test/unit/sidecar/state/query/subject.ts";
import { call, onOneServer, type Version, write } from "./fixture.ts";

const RANGE = { scope: "app||", start: "app||" };
/** More rows than one query may look at. */
const MANY = QUERY_ROWS_MAX + 20_000;

async function page(store: Store, filter: unknown, after: string | null = null): Promise<ListPage> {
  const read = parseQuery(Buffer.from(JSON.stringify({ filter })));
  const where = read.filter === null ? null : narrowingOf(read.filter);
  const told = await store.list?.({ range: RANGE, after, limit: 1000, values: true, where }, call);
  assert.ok(told !== undefined);
  return told;
}

describeWithPostgres("queries that PostgreSQL narrows", () => {
  const { server, database, open } = onOneServer();

  async function filled(version: Version, values: readonly string[]): Promise<Store> {
    const store = await open(version, await database());
    for (const [index, value] of values.entries()) await store.set(write(`app||${index}`, value), call);
    return store;
  }

  const keysOf = ({ rows }: ListPage): readonly string[] => rows.map(({ key }) => key.slice("app||".length));

  it("leave rows of other values with the server", async () => {
    const values = ['{"n":1}', '{"n":77}', '{"n":"77.0"}', '{"n":"b"}', '{"n":true}', '{"n":[77]}', '{"m":77}', "77"];
    const store = await filled("v1", values);
    const cases: readonly (readonly [unknown, readonly string[]])[] = [
      [{ EQ: { n: "b" } }, ["3"]],
      [{ EQ: { n: 77 } }, ["1", "2"]],
      [{ EQ: { n: true } }, ["4"]],
      [{ IN: { n: [1, "b"] } }, ["0", "2", "3"]],
      [{ GTE: { n: 1 } }, ["0", "1"]],
      [{ GT: { n: 1 } }, ["1"]],
      [{ LTE: { n: 1 } }, ["0"]],
      [{ LT: { n: 1 } }, []],
      [{ AND: [{ GT: { n: 0 } }, { LT: { n: 77 } }] }, ["0"]],
      [{ OR: [{ EQ: { n: "b" } }, { EQ: { m: 77 } }] }, ["3", "6"]],
    ];
    for (const [filter, keys] of cases)
      assert.deepEqual(keysOf(await page(store, filter)), keys, JSON.stringify(filter));
  });

  it("get all rows where the server cannot look into values", async () => {
    const store = await filled("v2", ['{"n":1}', '{"n":77}']);
    assert.deepEqual(keysOf(await page(store, { EQ: { n: 77 } })), ["0", "1"]);
  });

  it("look at a limited number of rows for a page, and find what is behind them", async () => {
    const name = await database();
    const store = await open("v1", name);
    await server().query(
      `INSERT INTO state (key, value, isbinary)
        SELECT 'app||' || lpad(n::text, 6, '0'), jsonb_build_object('n', n), false FROM generate_series(1, ${MANY}) n`,
      [],
      name,
    );
    const first = await page(store, { EQ: { n: LOOKED_MAX + 1 } });
    assert.deepEqual(first, { rows: [], next: `app||${String(LOOKED_MAX).padStart(6, "0")}` });
    const second = await page(store, { EQ: { n: LOOKED_MAX + 1 } }, first.next);
    assert.equal(second.rows.length, 1);
    const { rows } = await asking(store)({ filter: { EQ: { n: MANY } } });
    assert.deepEqual(
      rows.map(({ key }) => key),
      [String(MANY)],
    );
    const unsaid = { filter: { NEQ: { n: MANY } }, sort: [{ key: "n" }], page: { limit: 1 } };
    await assert.rejects(asking(store)(unsaid), /look at more than 100000 rows/);
  }).timeout(120_000);
});
