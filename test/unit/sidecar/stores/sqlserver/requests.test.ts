// What goes over the wire for each call, and how answers are read: tedious speaks TDS to a server of ours, which knows no SQL.
import assert from "node:assert/strict";
import { isInRange } from "#sidecar/stores/store.ts";
import type { TdsAnswer, TdsRequest } from "#test/servers/tds/tds-server.ts";
import {
  type Bench,
  type BenchOptions,
  call,
  changed,
  deletion,
  ETAG,
  openBench,
  ROW_V1,
  read,
  removal,
  transact,
  upsert,
  VERSION,
  write,
} from "./fixture.ts";

const RAW = Buffer.from([0xff, 0, 1]);

describe("a request to SQL Server", () => {
  let bench: Bench | null = null;

  async function open(options: BenchOptions = {}): Promise<Bench> {
    bench = await openBench(options);
    return bench;
  }
  afterEach(async () => {
    await bench?.stop();
    bench = null;
  });

  const kinds = (requests: readonly TdsRequest[]): readonly string[] => requests.map(({ kind }) => kind);
  const rows = (...all: readonly (readonly unknown[])[]): TdsAnswer => ({ columns: ROW_V1, rows: all });

  it("signs in by user, password, database and the Component's name, and sets what statements count on", async () => {
    const { server } = await open();
    const login = {
      user: "app",
      password: "secret-password",
      application: "pannier-test",
      database: "dapr",
      token: null,
    };
    assert.deepEqual(server.logins[0], login);
    const setup = server.requests.filter(({ text }) => text.startsWith("SET XACT_ABORT")).at(-1)?.text;
    assert.equal(
      setup,
      "SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 19000; SET TRANSACTION ISOLATION LEVEL READ COMMITTED;",
    );
  });

  it("reads a row by one call with a typed key", async () => {
    const { store, requests } = await open({ answer: () => rows(['{"a":"\u{1f9fa}"}', VERSION, 1_795_000_000_123]) });
    const found = await store.get("app||k\u00e9", read, call);
    assert.equal(Buffer.from(found?.bytes ?? []).toString(), '{"a":"\u{1f9fa}"}');
    assert.deepEqual([found?.etag, found?.expiresAtMs], [ETAG, 1_795_000_000_123]);
    const [{ kind, declared, values } = { kind: "", declared: "", values: {} }, ...more] = requests();
    assert.deepEqual([kind, declared, values, more], ["call", "@Key nvarchar(4000)", { Key: "app||k\u00e9" }, []]);
  });

  it("reads nothing where no row is, and asks nothing for a key that no column can hold", async () => {
    const { store, requests } = await open();
    assert.equal(await store.get("k", read, call), null);
    assert.equal(await store.get("k".repeat(4001), read, call), null);
    assert.equal(requests().length, 1);
  });

  it("writes a text as NVARCHAR(MAX), whatever its length, with a TTL or none", async () => {
    const { store, requests } = await open();
    const long = JSON.stringify("x".repeat(20_000));
    await store.set(write("k", "1", { ttlSec: 60 }), call);
    await store.set(write("k", long), call);
    const declared = "@Key nvarchar(4000), @Data nvarchar(max), @TTL int";
    assert.deepEqual(
      requests().map((each) => [each.declared, each.values]),
      [
        [declared, { Key: "k", Data: "1", TTL: 60 }],
        [declared, { Key: "k", Data: long, TTL: null }],
      ],
    );
    const [first, second] = requests();
    assert.equal(first?.text, second?.text);
  });

  it("writes raw bytes as VARBINARY(MAX) in v2, and reads them back", async () => {
    const columns = [
      { name: "Data", type: "nvarchar" },
      { name: "BinaryData", type: "varbinary" },
      { name: "isBinary", type: "bit" },
      { name: "RowVersion", type: "binary" },
      { name: "Expires", type: "bigint" },
    ] as const;
    const { store, requests } = await open({
      version: "v2",
      answer: ({ text }) => (text.startsWith("SELECT") ? { columns, rows: [[null, RAW, 1, VERSION, null]] } : null),
    });
    await store.set(write("k", "", { bytes: RAW, isJson: false }), call);
    const [{ declared, values } = { declared: "", values: {} }] = requests();
    assert.equal(
      declared,
      "@Key nvarchar(4000), @Data nvarchar(max), @BinaryData varbinary(max), @IsBinary bit, @TTL int",
    );
    assert.deepEqual(values, { Key: "k", Data: null, BinaryData: RAW, IsBinary: true, TTL: null });
    assert.deepEqual((await store.get("k", read, call))?.bytes, RAW);
  });

  it("compares an ETag as the eight bytes of a row version, and takes no changed row for a conflict", async () => {
    let count = 1;
    const { store, requests } = await open({ answer: () => changed(count) });
    await store.set(write("k", "1", { etag: ETAG }), call);
    await store.remove(removal("k", { etag: ETAG }), call);
    assert.deepEqual(
      requests().map(({ values }) => values.RowVersion),
      [VERSION, VERSION],
    );
    assert.ok(requests()[0]?.declared.endsWith("@RowVersion binary(8)"));
    count = 0;
    await assert.rejects(store.set(write("k", "1", { etag: ETAG }), call), { code: "etag-mismatch" });
    await assert.rejects(store.remove(removal("k", { etag: ETAG }), call), { code: "etag-mismatch" });
  });

  it("asks nothing for an ETag that no row can have", async () => {
    const { store, requests } = await open();
    await assert.rejects(store.set(write("k", "1", { etag: "bad-etag" }), call), { code: "etag-invalid" });
    await assert.rejects(store.remove(removal("k", { etag: "FFFF" }), call), { code: "etag-mismatch" });
    await assert.rejects(transact(store, [upsert("k", "1"), upsert("l", "1", { etag: "FFFF" })]), {
      code: "etag-mismatch",
      message: /^change 2 of 2: the value has another etag/,
    });
    assert.equal(requests().length, 0);
  });

  it("takes a first-write that changed nothing for a conflict", async () => {
    const { store, requests } = await open({ answer: () => changed(0) });
    await assert.rejects(store.set(write("k", "1", { firstWrite: true }), call), { code: "etag-mismatch" });
    assert.match(requests()[0]?.text ?? "", /WHERE NOT EXISTS/);
  });

  it("deletes without a look, whatever first-write says", async () => {
    const { store, requests } = await open();
    await store.remove(removal("k", { firstWrite: true }), call);
    const [{ text } = { text: "" }] = requests();
    assert.match(text, /^DELETE FROM \[dbo\]\.\[state\] WHERE /);
  });

  it("refuses a key and a value that do not fit, before anything is sent", async () => {
    const { store, requests } = await open();
    await assert.rejects(store.set(write("k".repeat(201), "1"), call), { code: "refused" });
    await assert.rejects(store.set(write("k", "", { bytes: RAW, isJson: false }), call), { code: "refused" });
    assert.equal(requests().length, 0);
  });

  it("reads many keys by one statement, in the caller's order, and a row that is none fails alone", async () => {
    const columns = [{ name: "Key", type: "nvarchar" as const }, ...ROW_V1];
    const { store, requests } = await open({
      answer: () => ({
        columns,
        rows: [
          ["b", "2", VERSION, null],
          ["bad", "\ud800", VERSION, null],
          // As a collation would answer that takes it for "a".
          ["A", "9", VERSION, null],
        ],
      }),
    });
    const found = await store.getMany?.(["a", "b", "bad", "b"], read, call);
    const told = found?.map((each) =>
      each === null ? null : each instanceof Error ? each.code : Buffer.from(each.bytes).toString(),
    );
    assert.deepEqual(told, [null, "2", "corrupt", "2"]);
    assert.deepEqual(requests()[0]?.values, { Key0: "a", Key1: "b", Key2: "bad", Key3: "bad" });
  });

  it("asks in v2 for as many keys at a time as bulkGetChunkSize says", async () => {
    const { store, requests } = await open({ version: "v2", fields: { bulkGetChunkSize: "2" } });
    await store.getMany?.(["a", "b", "c"], read, call);
    assert.deepEqual(
      requests().map(({ values }) => Object.values(values)),
      [["a", "b"], ["c"]],
    );
  });

  it("applies a transaction as one: it takes all keys, deletes, writes and commits", async () => {
    const { store, requests } = await open();
    await transact(store, [upsert("b", "1"), upsert("a", "2", { ttlSec: 5 }), deletion("c")]);
    assert.deepEqual(kinds(requests()), ["begin", "call", "call", "call", "commit"]);
    const [, take, remove, put] = requests();
    assert.deepEqual(take?.values, { Key0: "a", Key1: "b", Key2: "c", Key3: "c" });
    assert.deepEqual(remove?.values, { Key0: "c" });
    assert.deepEqual(put?.values, { Key0: "a", Data0: "2", TTL0: 5, Key1: "b", Data1: "1", TTL1: null });
  });

  it("rolls back where a condition does not hold, and says which change it was", async () => {
    const columns = [
      { name: "Key", type: "nvarchar" },
      { name: "RowVersion", type: "binary" },
      { name: "Live", type: "int" },
    ] as const;
    const { store, requests } = await open({
      answer: ({ text }) =>
        text.includes("AS [Live]")
          ? {
              columns,
              rows: [
                ["live", VERSION, 1],
                ["gone", VERSION, 0],
              ],
            }
          : null,
    });
    const refusals = [
      [upsert("x", "1"), upsert("live", "1", { firstWrite: true })],
      [upsert("x", "1"), upsert("live", "1", { etag: "00000000000007d2" })],
      [upsert("x", "1"), deletion("gone", { etag: ETAG })],
      [upsert("x", "1"), deletion("missing", { etag: ETAG })],
    ];
    for (const changes of refusals) {
      const from = requests().length;
      await assert.rejects(transact(store, changes), { code: "etag-mismatch", message: /^change 2 of 2: / });
      assert.deepEqual(kinds(requests().slice(from)), ["begin", "call", "rollback"]);
    }
    const from = requests().length;
    await transact(store, [upsert("gone", "1", { firstWrite: true }), deletion("live", { etag: ETAG })]);
    assert.deepEqual(kinds(requests().slice(from)), ["begin", "call", "call", "call", "commit"]);
  });

  it("lists a page between the first and the last key that begin so, and goes on behind the last one told", async () => {
    const columns = [
      { name: "Key", type: "nvarchar" },
      { name: "Ours", type: "int" },
      { name: "Number", type: "bigint" },
      { name: "Size", type: "bigint" },
    ] as const;
    const { store, requests } = await open({
      answer: () => ({
        columns,
        rows: [
          ["app||a", 1, 1, 1],
          ["app||b", 1, 3, 1],
          ["app||c", 1, 4, 1],
        ],
      }),
    });
    const range = { scope: "app||", start: "app||" };
    const page = await store.list?.({ range, after: null, limit: 2, values: false }, call);
    assert.deepEqual(page, {
      rows: [
        { key: "app||a", found: null },
        { key: "app||b", found: null },
      ],
      next: "app||b",
    });
    await store.list?.({ range, after: "app||b", limit: 2, values: false }, call);
    const [first, second] = requests();
    const from = "app||".padEnd(450, "\0");
    assert.deepEqual(first?.values, { From: from, Start: "app||", Behind: 6, End: "app|}", Look: 1000, Limit: 3 });
    assert.match(first?.text ?? "", /\[Key\] >= @From/);
    assert.equal(second?.values.From, "app||b");
    assert.match(second?.text ?? "", /\[Key\] > @From/);
    await assert.rejects(async () => store.list?.({ range, after: "other", limit: 1, values: false }, call), {
      code: "refused",
    });
  });

  it("ends a walk with the first key that begins otherwise, which can come before the range's end", async () => {
    const columns = [
      { name: "Key", type: "nvarchar" },
      { name: "Ours", type: "int" },
      { name: "Number", type: "bigint" },
      { name: "Size", type: "bigint" },
    ] as const;
    const { store } = await open({ answer: () => ({ columns, rows: [["app||\u{1f9fb}", 0, 1000, 1]] }) });
    // U+1F9FA ends with a surrogate, so the end of the range is that of "app||", and other keys are between.
    const range = { scope: "app||", start: "app||\u{1f9fa}" };
    const page = await store.list?.({ range, after: null, limit: 2, values: false }, call);
    assert.deepEqual(page, { rows: [], next: null });
  });

  it("bounds a range behind all texts that begin with its start, in whatever plane they are", async () => {
    const { store, requests } = await open({
      answer: () => ({ columns: [{ name: "Count", type: "bigint" }], rows: [[7]] }),
    });
    for (const start of ["a\u{1f9fa}", "a\uffff", "\u{10ffff}", ""]) {
      assert.equal(await store.count?.({ scope: "", start }, call), 7);
      const end = requests().at(-1)?.values.End;
      const range = { scope: "", start };
      for (const key of [start, `${start}\uffff`, `${start}\u{10ffff}`].filter((each) => isInRange(range, each)))
        assert.ok(end === undefined || key < String(end), `${JSON.stringify(key)} is behind ${JSON.stringify(end)}`);
    }
    assert.equal(requests()[0]?.values.End, "b");
    assert.equal("End" in (requests()[3]?.values ?? {}), false);
  });

  it("ends a page with values by their bytes, and gives the rest to the next", async () => {
    const big = JSON.stringify("x".repeat(5 * 1024 * 1024));
    const page = [
      { name: "Key", type: "nvarchar" },
      { name: "Ours", type: "int" },
      { name: "Number", type: "bigint" },
      { name: "Size", type: "bigint" },
    ] as const;
    const { store, requests } = await open({
      answer: ({ text, values }) => {
        if (text.includes("@Look"))
          return { columns: page, rows: ["a", "b", "c"].map((key, at) => [key, 1, at + 1, big.length]) };
        const keys = new Set(Object.values(values));
        return {
          columns: [{ name: "Key", type: "nvarchar" as const }, ...ROW_V1],
          rows: [...keys].map((key) => [key, big, VERSION, null]),
        };
      },
    });
    const told = await store.list?.({ range: { scope: "", start: "" }, after: null, limit: 10, values: true }, call);
    assert.deepEqual([told?.rows.map(({ key }) => key), told?.next], [["a", "b"], "b"]);
    assert.deepEqual(requests().at(-1)?.values, { Key0: "a", Key1: "b", Key2: "b", Key3: "b" });
  });

  it("deletes a range up to a number of rows, and tells how many there were", async () => {
    const { store, requests } = await open({ answer: () => changed(3) });
    assert.equal(await store.removeRange?.({ scope: "app||", start: "app||x" }, 100, call), 3);
    assert.equal(requests()[0]?.values.Limit, 100);
    assert.equal(await store.removeRange?.({ scope: "", start: "x".repeat(451) }, 100, call), 0);
    assert.equal(requests().length, 1);
  });
});
