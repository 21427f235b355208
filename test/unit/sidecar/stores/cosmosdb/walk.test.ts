// Walks over a container: the query that goes out, what of its answer is told, and positions.
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import type { ListPage, ListRequest, Store } from "#sidecar/stores/store.ts";
import { call, onOneEndpoint, type Reply } from "./fixture.ts";

const RANGE = { scope: "app||", start: "app||or/d" };

describe("a walk over a container of Cosmos DB", () => {
  const { endpoint, open } = onOneEndpoint();

  function page(rows: readonly object[], next?: string): Reply {
    const headers: Record<string, string> = next === undefined ? {} : { "x-ms-continuation": next };
    return { status: 200, headers, body: { Documents: rows } };
  }

  async function list(store: Store, more: Partial<ListRequest> = {}): Promise<ListPage> {
    const told = await store.list?.({ range: RANGE, after: null, limit: 100, values: false, ...more }, call);
    assert.ok(told !== undefined);
    return told;
  }

  it("asks for ids by their beginning, as ids are spelled, and leaves out keys with two bars", async () => {
    const store = await open();
    endpoint().reply = () => page([]);
    assert.deepEqual(await list(store), { rows: [], next: null });
    await list(store, { values: true });
    await store.removeRange?.(RANGE, 7, call);
    const requests = endpoint().taken();
    const queries = requests.map(({ body }) => JSON.parse(body));
    const where =
      'WHERE STARTSWITH(c.id, @start) AND NOT CONTAINS(SUBSTRING(c.id, @scope, LENGTH(c.id)), "||") AND IS_DEFINED(c["value"]) AND IS_STRING(c.partitionKey)';
    assert.deepEqual(
      queries.map(({ query }) => query),
      ["c.id", "*", "c.id, c.partitionKey"].map((members) => `SELECT ${members} FROM c ${where}`),
    );
    const parameters = [
      { name: "@start", value: "app||or﹪2Fd" },
      { name: "@scope", value: 5 },
    ];
    for (const query of queries) assert.deepEqual(query.parameters, parameters);
    assert.deepEqual(
      requests.map(({ headers }) => headers["x-ms-max-item-count"]),
      ["100", "8", "7"],
    );
    for (const { headers } of requests)
      assert.equal(headers["x-ms-documentdb-responsecontinuationtokenlimitinkb"], "1");
  });

  it("tells no key outside of the range, whatever the server answers", async () => {
    const store = await open();
    const ids = ["app||or﹪2Fd1", "app||or﹪2Fd||x", "app||other", "zzz", "app||or/d2", "app||or﹪2Fd﹪", 5];
    endpoint().reply = ({ method }) =>
      method === "POST" ? page(ids.map((id) => ({ id, partitionKey: "p" }))) : { status: 204 };
    assert.deepEqual((await list(store)).rows, [{ key: "app||or/d1", found: null }]);
    endpoint().taken();
    assert.equal(await store.removeRange?.(RANGE, 100, call), 1);
    const deleted = endpoint().taken().slice(1);
    assert.deepEqual(
      deleted.map(({ method, path, headers }) => [
        method,
        decodeURIComponent(path),
        headers["x-ms-documentdb-partitionkey"],
      ]),
      [["DELETE", "/dbs/d/colls/c/docs/app||or﹪2Fd1", '["p"]']],
    );
  });

  it("goes on at the server's position, and asks for few large rows at first", async () => {
    const store = await open();
    const row = { id: "app||or﹪2Fd1", value: 1, isBinary: false, partitionKey: "p" };
    endpoint().reply = (_request, count) => page([row], count < 5 ? `next-${count}` : undefined);
    const told = await list(store, { values: true, limit: 40 });
    assert.deepEqual([told.rows.length, told.next], [5, null]);
    const requests = endpoint().taken();
    assert.deepEqual(
      requests.map(({ headers }) => headers["x-ms-continuation"]),
      [undefined, "next-1", "next-2", "next-3", "next-4"],
    );
    assert.deepEqual(
      requests.map(({ headers }) => headers["x-ms-max-item-count"]),
      ["8", "16", "32", "37", "36"],
    );
  });

  it("ends a page after twenty of the server's, and with the rows that were asked for", async () => {
    const store = await open();
    endpoint().reply = (_request, count) => page([], `next-${count}`);
    const first = await list(store);
    assert.deepEqual([first.rows.length, endpoint().taken().length], [0, 20]);
    endpoint().reply = () => page([{ id: "app||or﹪2Fd1" }], "more");
    const second = await list(store, { after: first.next, limit: 1 });
    assert.deepEqual([second.rows.length, second.next === null], [1, false]);
    assert.deepEqual(
      endpoint()
        .taken()
        .map(({ headers }) => headers["x-ms-continuation"]),
      ["next-20"],
    );
  });

  it("refuses positions that no page has ended with, without asking for them", async () => {
    const store = await open();
    endpoint().reply = () => page([], "token");
    const { next } = await list(store);
    endpoint().taken();
    for (const after of ["", "token", `${next}x`, `x${next}`, "a\r\nb: c", "😀", ".token", "0."])
      await assert.rejects(list(store, { after }), { code: "refused", message: /none of this range/ });
    assert.equal(endpoint().taken().length, 0);
  });

  it("refuses positions that no header can hold, though their checksum is right", async () => {
    const store = await open();
    endpoint().reply = () => page([]);
    for (const text of ["a\r\nb: c", "\u0000", "é", "😀", "x".repeat(9_000)]) {
      const after = `${crc32(text).toString(36)}.${text}`;
      await assert.rejects(list(store, { after }), { code: "refused", message: /none of this range/ });
    }
    assert.equal(endpoint().taken().length, 0);
  });

  it("begins no more deletes once one has failed, and waits for those under way", async () => {
    const store = await open();
    const ids = Array.from({ length: 200 }, (_, index) => ({ id: `app||or﹪2Fd${index}`, partitionKey: "p" }));
    let deletes = 0;
    endpoint().reply = ({ method }) => {
      if (method === "POST") return page(ids);
      return { status: ++deletes === 5 ? 403 : 204 };
    };
    await assert.rejects(async () => store.removeRange?.(RANGE, 200, call), { code: "unavailable" });
    const atTheEnd = deletes;
    assert.ok(atTheEnd < 5 + 2 * 16, `${atTheEnd} deletes`);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(deletes, atTheEnd);
  });

  it("refuses a position that the server refuses, and no other answer", async () => {
    const store = await open();
    endpoint().reply = () => page([], "token");
    const { next } = await list(store);
    endpoint().reply = () => ({ status: 400 });
    await assert.rejects(list(store, { after: next }), { code: "refused" });
    await assert.rejects(list(store), { code: "failed" });
    endpoint().reply = () => ({ status: 403 });
    await assert.rejects(list(store, { after: next }), { code: "unavailable" });
  });

  it("removes no more than it was asked to, and counts what was still there", async () => {
    const store = await open();
    const ids = ["1", "2", "3"].map((name) => ({ id: `app||or﹪2Fd${name}`, partitionKey: "p" }));
    endpoint().reply = ({ method, path }) => {
      if (method === "POST") return page(ids, "more");
      return { status: path.endsWith("2") ? 404 : 204 };
    };
    assert.equal(await store.removeRange?.(RANGE, 4, call), 4);
    const asked = endpoint()
      .taken()
      .filter(({ method }) => method === "POST");
    assert.deepEqual(
      asked.map(({ headers }) => headers["x-ms-max-item-count"]),
      ["4", "2"],
    );
  });
});
