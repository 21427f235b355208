import assert from "node:assert/strict";
import { addChecks } from "#sidecar/stores/sqlite/rows.ts";
import type { SqliteStore } from "#sidecar/stores/sqlite/sqlite-store.ts";
import { COUNT_ROWS_MAX, LOOKED_ROWS_MAX, statementsFor } from "#sidecar/stores/sqlite/statements.ts";
import { type KeyRange, LIST_BYTES_MAX } from "#sidecar/stores/store.ts";
import { CALL, Fixture, write } from "./fixture.ts";

const RANGE: KeyRange = { scope: "app||", start: "app||" };

async function keysOf(store: SqliteStore, range = RANGE, values = false): Promise<string[]> {
  const keys: string[] = [];
  let after: string | null = null;
  do {
    const page: Awaited<ReturnType<SqliteStore["list"]>> = await store.list({ range, after, limit: 1, values }, CALL);
    keys.push(...page.rows.map(({ key }) => key));
    after = page.next;
  } while (after !== null);
  return keys;
}

describe("a walk over SQLite", () => {
  let fixture: Fixture;
  let store: SqliteStore;
  beforeEach(async () => {
    fixture = new Fixture();
    store = await fixture.open();
  });
  afterEach(() => fixture.close());

  /** Rows that something else writes: `count` of them, each by the SQL expressions. */
  function insert(count: number, key: string, more: { value?: string; binary?: number; expires?: string } = {}): void {
    const { value = "'1'", binary = 0, expires = "NULL" } = more;
    fixture.plain().exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
       INSERT INTO state (key, value, is_binary, etag, expiration_time) SELECT ${key}, ${value}, ${binary}, 'e', ${expires} FROM n`,
    );
  }

  it("is a search in the key's own index, without sorting", () => {
    const sql = statementsFor({ state: "state", metadata: "metadata" });
    const database = fixture.plain();
    addChecks(database);
    for (const name of ["listKeys", "listRows", "countRange", "removeRange"] as const) {
      const steps = database
        .prepare(`EXPLAIN QUERY PLAN ${sql[name]}`)
        .all()
        .map(({ detail }) => String(detail));
      assert.ok(
        steps.some((step) =>
          /^SEARCH state USING (COVERING )?INDEX sqlite_autoindex_state_1 \(key>\? AND key<\?\)/.test(step),
        ),
        `${name}: ${steps}`,
      );
      assert.ok(!steps.some((step) => /SCAN state|TEMP B-TREE/.test(step)), `${name}: ${steps}`);
    }
  });

  it("passes over keys that are not UTF-8, and goes on behind them", async () => {
    await store.set(write("app||a", "1"), CALL);
    await store.set(write("app||\u00ff", "1"), CALL);
    for (const byte of ["80", "BF", "FF"]) insert(1, `CAST(x'6170707C7C${byte}' AS TEXT)`);
    insert(1, "x'6170707C7C62'");
    assert.deepEqual(await keysOf(store), ["app||a", "app||\u00ff"]);
    assert.deepEqual(await keysOf(store, { scope: "", start: "" }), []);
  });

  it("tells keys with a NUL whole", async () => {
    for (const key of ["app||a", "app||a\0", "app||a\0b", "app||b\0||c"]) await store.set(write(key, "1"), CALL);
    assert.deepEqual(await keysOf(store), ["app||a", "app||a\0", "app||a\0b"]);
    assert.deepEqual(await keysOf(store, { scope: "app||", start: "app||a\0" }), ["app||a\0", "app||a\0b"]);
    assert.equal(await store.count(RANGE, CALL), 3);
  });

  it("leaves rows that are not in the layout alone: told by no walk, not counted, not deleted", async () => {
    await store.set(write("app||a", "1"), CALL);
    await store.set(write("app||raw", "bytes", { isJson: false }), CALL);
    await store.set(write("app||raw empty", "", { isJson: false }), CALL);
    const broken = ["'no base64!'", "'YQ'", "'YR=='", "'YQ==' || char(10)", "CAST(x'59513D3D00' AS TEXT)"];
    for (const [index, value] of broken.entries()) insert(1, `'app||broken ${index}'`, { value, binary: 1 });
    for (const byte of ["80", "C0", "0080"]) insert(1, `CAST(x'6170707C7C${byte}' AS TEXT)`);
    const rows = ["app||a", "app||raw", "app||raw empty"];
    for (const values of [false, true]) assert.deepEqual(await keysOf(store, RANGE, values), rows);
    assert.equal(await store.count(RANGE, CALL), 3);
    assert.equal(await store.removeRange(RANGE, 100, CALL), 3);
    assert.equal(fixture.rows("SELECT key FROM state").length, broken.length + 3);
    assert.equal(await store.count(RANGE, CALL), 0);
  });

  it("ends a page of keys, and a step of a count, by the bytes that it had to check", async () => {
    const half = `'${"A".repeat(LIST_BYTES_MAX / 2)}'`;
    insert(5, "'app||' || i", { value: half, binary: 1 });
    const page = await store.list({ range: RANGE, after: null, limit: 10, values: false }, CALL);
    assert.equal(page.rows.length, 2);
    assert.equal(await store.count(RANGE, CALL), 5);
  });

  it("looks at a limited number of rows per page, told or not", async () => {
    insert(LOOKED_ROWS_MAX + 1, "'app||' || printf('%06d', i)", { expires: "'2000-01-01 00:00:00'" });
    await store.set(write("app||z", "1"), CALL);
    const first = await store.list({ range: RANGE, after: null, limit: 10, values: false }, CALL);
    assert.deepEqual(first.rows, []);
    assert.ok(first.next !== null);
    const second = await store.list({ range: RANGE, after: first.next, limit: 10, values: false }, CALL);
    assert.deepEqual(second, { rows: [{ key: "app||z", found: null }], next: null });
  });

  it("counts in steps, and no row twice at their borders", async () => {
    insert(COUNT_ROWS_MAX * 2 + 5, "'app||' || printf('%06d', i)");
    insert(3, "'app||0||' || i");
    insert(2, "'apq||' || i");
    assert.equal(await store.count(RANGE, CALL), COUNT_ROWS_MAX * 2 + 5);
  });

  it("deletes in steps up to the limit", async () => {
    insert(2500, "'app||' || printf('%06d', i)");
    insert(1, "'app||actor||' || i");
    assert.equal(await store.removeRange(RANGE, 2200, CALL), 2200);
    assert.equal(await store.removeRange(RANGE, 2200, CALL), 300);
    assert.deepEqual(fixture.rows("SELECT key FROM state"), [{ key: "app||actor||1" }]);
  });
});
