import assert from "node:assert/strict";
import fc from "fast-check";
import type { Policy } from "#sidecar/state/policies.ts";
import { RESULTS_MAX } from "#sidecar/state/query/parse.ts";
import { QUERY_BYTES_MAX, QUERY_ROWS_MAX, type QueryAnswer } from "#sidecar/state/query/run.ts";
import { type Found, type Store, StoreError } from "#sidecar/stores/store.ts";
import * as plain from "./plain.ts";
import { type Ask, asking, CALL, fill, openStore, row, walking } from "./subject.ts";

function keysOf(answer: QueryAnswer): readonly string[] {
  return answer.rows.map(({ key }) => key);
}

/** Every page of a query, joined. */
async function allPages(ask: Ask, query: object, limit: number, bytesMax = 0): Promise<readonly string[]> {
  const keys: string[] = [];
  let token = "";
  for (let pages = 0; pages < 1000; pages++) {
    const answer = await ask({ ...query, page: { limit, token } }, bytesMax);
    assert.ok(answer.rows.length <= limit);
    keys.push(...keysOf(answer));
    if (answer.token === null) return keys;
    assert.ok(answer.rows.length > 0, "a page with a token has rows");
    token = answer.token;
  }
  throw new Error("the pages do not end");
}

describe("query", () => {
  let store: Store;

  beforeEach(async () => {
    store = await openStore();
  });
  afterEach(() => store.close());

  const key = fc.constantFrom("", "a", "b", "ä", "z", "\u{ff00}", "\u{10000}", "a b", "a%", "k1", "k10", "k2");
  const rows = fc.uniqueArray(fc.record({ key, value: plain.json }), { selector: (each) => each.key, maxLength: 12 });

  it("answers what a plain filter and sort over decoded JSON answer", async () => {
    const asked = fc.option(plain.filter, { nil: undefined });
    await fc.assert(
      fc.asyncProperty(rows, asked, plain.sort, async (all, filter, sort) => {
        const own = await openStore();
        await fill(own, Object.fromEntries(all.map((each) => [`app||${each.key}`, each.value])));
        const taken = all.filter(({ value }) => filter === undefined || plain.plainMatches(filter, value));
        const want = plain.plainSorted(taken, sort).map((each) => each.key);
        assert.deepEqual(keysOf(await asking(own)({ filter, sort })), want);
        await own.close();
      }),
      { numRuns: 300 },
    );
  });

  it("gives pages that joined are the sorted whole, on stores with and without an order of keys", async () => {
    const limits = fc.record({ limit: fc.integer({ min: 1, max: 5 }), bytesMax: fc.constantFrom(0, 1, 400, 500) });
    const asked = fc.option(plain.filter, { nil: undefined });
    await fc.assert(
      fc.asyncProperty(rows, asked, plain.sort, limits, async (all, filter, sort, { limit, bytesMax }) => {
        const own = await openStore();
        await fill(own, Object.fromEntries(all.map((each) => [`app||${each.key}`, each.value])));
        const told = all.map((each) => row(`app||${each.key}`, each.value));
        // Some rows are told twice, as a scan may.
        const unordered = walking(own, () => [...told.slice(1), ...told], 3);
        const whole = keysOf(await asking(own)({ filter, sort }));
        assert.deepEqual(await allPages(asking(own), { filter, sort }, limit, bytesMax), whole);
        assert.deepEqual(await allPages(asking(unordered), { filter, sort }, limit, bytesMax), whole);
        await own.close();
      }),
      { numRuns: 300 },
    );
  });

  it("sees the rows of the caller's prefix and no others", async () => {
    const value = { a: 1 };
    const others = ["app||actor||1||k", "other||k", "k", "app|k", "application||k"];
    await fill(store, Object.fromEntries(["app||k", ...others].map((each) => [each, value])));
    assert.deepEqual(keysOf(await asking(store)({ filter: { EQ: { a: 1 } } })), ["k"]);
    assert.deepEqual(keysOf(await asking(store, { keyPrefix: "" })("{}")), ["app|k", "k"]);
  });

  it("gives each row with its bytes and its ETag", async () => {
    await fill(store, { "app||k": '{ "a" : 1.10 }' });
    const [only] = (await asking(store)({ filter: { EQ: { a: 1.1 } } })).rows;
    const found = await store.get("app||k", { strong: false, metadata: {} }, CALL);
    assert.equal(Buffer.from(only?.found.bytes ?? []).toString(), '{ "a" : 1.10 }');
    assert.equal(only?.found.etag, found?.etag);
  });

  it("gives rows that are no JSON only when there is no filter, and sorts them last", async () => {
    await fill(store, { "app||a": Buffer.from([0xff]), "app||b": "text", "app||c": { n: 1 }, "app||d": "" });
    const ask = asking(store);
    assert.deepEqual(keysOf(await ask({ sort: [{ key: "n" }] })), ["c", "a", "b", "d"]);
    assert.deepEqual(keysOf(await ask({ sort: [{ key: "n", order: "DESC" }] })), ["c", "a", "b", "d"]);
    assert.deepEqual(keysOf(await ask({ filter: { NEQ: { n: 2 } } })), ["c"]);
  });

  it("goes on behind the last row, whatever was written and deleted meanwhile", async () => {
    await fill(store, { "app||a": { n: 1 }, "app||b": { n: 2 }, "app||c": { n: 3 }, "app||d": { n: 4 } });
    const ask = asking(store);
    for (const query of [{ sort: [{ key: "n" }] }, {}]) {
      const first = await ask({ ...query, page: { limit: 2 } });
      assert.deepEqual(keysOf(first), ["a", "b"]);
      // The last row goes, one comes before it and one behind it.
      await store.remove({ key: "app||b", etag: null, firstWrite: false, strong: false, metadata: {} }, CALL);
      await fill(store, { "app||aa": { n: 0 }, "app||bb": { n: 2.5 } });
      const second = await ask({ ...query, page: { limit: 5, token: first.token } });
      assert.deepEqual([keysOf(second), second.token], [["bb", "c", "d"], null]);
      await fill(store, { "app||b": { n: 2 } });
      for (const key of ["app||aa", "app||bb"])
        await store.remove({ key, etag: null, firstWrite: false, strong: false, metadata: {} }, CALL);
    }
  });

  it("finds behind the last row what began to match meanwhile, however far the walk had gone", async () => {
    const no = { n: 0 };
    const yes = { n: 1 };
    await fill(store, { "app||a": yes, "app||b": no, "app||c": no, "app||d": no, "app||e": yes });
    const list: NonNullable<Store["list"]> = async (request, call) => {
      assert.ok(store.list !== undefined);
      return store.list({ ...request, limit: 2 }, call);
    };
    const ask = asking({ ...walking(store, () => []), traits: store.traits, list });
    const filter = { EQ: { n: 1 } };
    const { token } = await ask({ filter, page: { limit: 1 } });
    await fill(store, { "app||b": yes });
    assert.deepEqual(keysOf(await ask({ filter, page: { limit: 5, token } })), ["b", "e"]);
  });

  it("answers no token after the last row and none without a limit", async () => {
    await fill(store, { "app||a": 1, "app||b": 2 });
    const ask = asking(store);
    assert.equal((await ask({ page: { limit: 2 } })).token, null);
    assert.equal((await ask("{}")).token, null);
    assert.notEqual((await ask({ page: { limit: 1 } })).token, null);
  });

  it("refuses a token of another query, store, prefix or app, and one that was altered", async () => {
    await fill(store, { "app||a": 1, "app||b": 2, "b||a": 1, "b||b": 2 });
    const query = { sort: [{ key: "n" }], page: { limit: 1 } };
    const { token } = await asking(store)(query);
    assert.ok(token !== null);
    const paged = (more: object, text = token): object => ({ ...query, page: { limit: 1, token: text }, ...more });
    const message = /^state store \w+ query failed: failed to parse JSON query body: page\.token: got a token/;
    const foreign: readonly Promise<unknown>[] = [
      asking(store)(paged({ sort: [{ key: "n", order: "DESC" }] })),
      asking(store)(paged({ sort: [] })),
      asking(store)(paged({ filter: { EQ: { n: 1 } } })),
      asking(store, { name: "other" })(paged({})),
      asking(store, { keyPrefix: "b||" })(paged({})),
      ...[`${token}A`, token.slice(0, -1), token.toUpperCase(), "x", "1"].map((text) => asking(store)(paged({}, text))),
    ];
    for (const each of foreign) await assert.rejects(each, { code: "query-failed", fault: "invalid", message });
    assert.deepEqual(keysOf(await asking(store)(paged({}))), ["b"]);
    // Spaces and the limit are not part of what a query is.
    const text = `{ "page": {"limit": 7, "token": "${token}"}, "sort":[ {"key":"n","order":"ASC"} ] }`;
    assert.deepEqual(keysOf(await asking(store)(text)), ["b"]);
  });

  it("sorts by the beginning of a long text, and by key where beginnings are the same", async () => {
    const long = "x".repeat(100_000);
    await fill(store, { "app||a": { s: `${long}b` }, "app||b": { s: `${long}a` }, "app||c": { s: "w" } });
    const ask = asking(store);
    const { token } = await ask({ sort: [{ key: "s" }], page: { limit: 2 } });
    assert.ok((token ?? "").length < 2000, "a token holds no value of any length");
    assert.deepEqual(await allPages(ask, { sort: [{ key: "s" }] }, 1), ["c", "a", "b"]);
  });

  describe("limits", () => {
    function* many(count: number, value: unknown): Generator<ReturnType<typeof row>> {
      const { found } = row("", value);
      for (let index = 0; index < count; index++) yield { key: `app||${String(index).padStart(7, "0")}`, found };
    }

    it("refuse to look at more rows than one query may, and to answer from a part", async () => {
      const filter = { EQ: { a: 2 } };
      await asking(walking(store, () => many(QUERY_ROWS_MAX, { a: 1 })))({ filter });
      await assert.rejects(asking(walking(store, () => many(QUERY_ROWS_MAX + 1, { a: 1 })))({ filter }), {
        code: "query-failed",
        fault: "invalid",
        message: /^state store s query failed: it would have to look at more than 100000 rows/,
      });
    });

    it("refuse to look at more bytes than one query may", async () => {
      const value = Buffer.alloc(8 * 1024 * 1024);
      const fits = QUERY_BYTES_MAX / value.length;
      await asking(walking(store, () => many(fits, value), 4))({ filter: { EQ: { a: 1 } } });
      await assert.rejects(asking(walking(store, () => many(fits + 1, value), 4))({ filter: { EQ: { a: 1 } } }), {
        message: /look at values of more than 268435456 bytes/,
      });
    });

    it("end a walk that goes on without rows", async () => {
      const endless = { ...walking(store, () => []), list: async () => ({ rows: [], next: "more" }) };
      await assert.rejects(asking(endless)("{}"), { message: /more than (2000|10000) pages/ });
    });

    it("refuse an answer that is too long without pages, and say to page", async () => {
      const whole = await asking(walking(store, () => many(RESULTS_MAX, 1)))("{}");
      assert.equal(whole.rows.length, RESULTS_MAX);
      const message = /the answer has more than 10000 rows.*set page\.limit/;
      await assert.rejects(asking(walking(store, () => many(RESULTS_MAX + 1, 1)))("{}"), { message });
      await assert.rejects(asking(walking(store, () => many(3, "12345678")))("{}", 25), { message });
    });

    it("let a page end earlier when its values are large", async () => {
      const ask = asking(walking(store, () => many(5, "12345678")));
      assert.equal((await ask({ page: { limit: 5 } }, 450)).rows.length, 2);
      assert.equal((await ask({ page: { limit: 5 } }, 1)).rows.length, 1);
    });

    it("are not met by a page of a walk in order, which ends with the page", async () => {
      const endless = { ...walking(store, () => many(QUERY_ROWS_MAX * 2, { a: 1 })), traits: store.traits };
      const filter = { EQ: { a: 1 } };
      assert.equal((await asking(endless)({ filter, page: { limit: 3 } })).rows.length, 3);
    });
  });

  it("reads only what the page needs from a store in order", async () => {
    const values = Array.from({ length: 50 }, (_, index) => [`app||${100 + index}`, index]);
    await fill(store, Object.fromEntries(values));
    let rowsRead = 0;
    const list: NonNullable<Store["list"]> = async (...args) => {
      const page = await store.list?.(...args);
      assert.ok(page !== undefined);
      rowsRead += page.rows.length;
      return page;
    };
    const watched = { ...walking(store, () => []), traits: store.traits, list };
    const pages = await allPages(asking(watched), {}, 5);
    assert.equal(pages.length, 50);
    assert.ok(rowsRead < 200, `${rowsRead} rows were read for 50`);
  });

  it("is refused in Dapr's order and words: the store, its list, its encryption, the text", async () => {
    const cipher = { seal: (bytes: Uint8Array) => bytes, open: (bytes: Uint8Array) => bytes };
    const without = { ...walking(store, () => []), features: { ...store.features, list: false } };
    await assert.rejects(asking(without, { core: { cipher } })("no JSON"), {
      code: "query-not-supported",
      message: "state store does not support querying",
    });
    await assert.rejects(asking(store, { core: { cipher } })("no JSON"), {
      code: "query-failed",
      message: "state store s query failed: cannot query encrypted store",
    });
    await assert.rejects(asking(store)('{"filter":{"XX":{}}}'), {
      code: "query-failed",
      message: 'state store s query failed: failed to parse JSON query body: unsupported filter "XX"',
    });
  });

  it("is counted once, and tells what the store says", async () => {
    const counted: string[] = [];
    await asking(store, { counted })("{}");
    const failing = { ...walking(store, () => []), list: () => Promise.reject(new StoreError("unavailable", "down")) };
    await assert.rejects(asking(failing, { counted })("{}"), {
      code: "query-failed",
      fault: "failed",
      message: "state store s query failed: down",
    });
    await assert.rejects(asking(store, { counted })("no JSON"));
    assert.deepEqual(counted, ["query true", "query false"]);
  });

  it("has each page of the store tried again by the policies, and does not begin anew", async () => {
    const asked: (string | null)[] = [];
    const list: NonNullable<Store["list"]> = async (request, call) => {
      asked.push(request.after);
      if (asked.length === 2) throw new StoreError("unavailable", "down");
      assert.ok(store.list !== undefined);
      return store.list({ ...request, limit: 1 }, call);
    };
    await fill(store, { "app||a": 1, "app||b": 2 });
    const policy: Policy = { run: (call, _rules, attempt) => attempt(call).catch(() => attempt(call)) };
    const failing = { ...walking(store, () => []), list };
    assert.deepEqual(keysOf(await asking(failing, { policy })("{}")), ["a", "b"]);
    assert.deepEqual(asked, [null, "app||a", "app||a"]);
  });

  it("ends when the client leaves", async () => {
    const leaving = new AbortController();
    let told = 0;
    function* endless(): Generator<ReturnType<typeof row>> {
      for (;;) {
        if (++told === 2500) leaving.abort();
        yield row(`app||${told}`, 1);
      }
    }
    const ask = asking(walking(store, endless));
    await assert.rejects(ask({ page: { limit: 1 } }, 0, { signal: leaving.signal }), { code: "query-failed" });
    assert.ok(told <= 3000, "no further page is read");
  });

  async function turnsDuring(filter: object, valueBytes: number): Promise<number> {
    let turns = 0;
    const count = (): void => {
      turns++;
      if (turns < 1000) setImmediate(count);
    };
    const large: Found = { bytes: Buffer.alloc(valueBytes, 0x20), etag: null, expiresAtMs: null };
    const rows = Array.from({ length: 20 }, (_, index) => ({ key: `app||${index}`, found: large }));
    setImmediate(count);
    await asking(walking(store, () => rows))({ filter });
    return turns;
  }

  it("lets others have their turn", async () => {
    const turns = await turnsDuring({ EQ: { a: 1 } }, 2 * 1024 * 1024);
    assert.ok(turns >= 20, `${turns}`);
  });

  it("lets others have their turn the more often the more comparisons a value goes through", async () => {
    const filters = Array.from({ length: 64 }, (_, index) => ({ GT: { a: index } }));
    const turns = await turnsDuring({ OR: filters }, 32 * 1024);
    assert.ok(turns >= 20 && turns < 1000, `${turns}`);
  });
});
