// Walks over Redis: what counts as a row, steps that do not fit a page, a table that changes its size in the middle.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { systemClock } from "#kit/clock.ts";
import { RedisError } from "#sidecar/stores/redis/errors.ts";
import type { RowLink } from "#sidecar/stores/redis/rows.ts";
import { SCAN_CALLS_MAX, SCAN_KEYS_MAX, scanPage } from "#sidecar/stores/redis/scan.ts";
import { NO_MEASURE } from "#sidecar/stores/redis/scripts.ts";
import { LIST_BYTES_MAX, type ListPage, type Store } from "#sidecar/stores/store.ts";
import { describeWithRedis, startRedis } from "#test/servers/redis.ts";
import { call, eventually, onOneServer, openStore, removal, write } from "./fixture.ts";

const RANGE = { scope: "app||", start: "app||" };

async function walked(page: (after: string | null) => Promise<ListPage>): Promise<string[]> {
  const keys: string[] = [];
  let after: string | null = null;
  do {
    const { rows, next } = await page(after);
    keys.push(...rows.map(({ key }) => key));
    after = next;
  } while (after !== null);
  return keys;
}

describeWithRedis("a walk over Redis", () => {
  let store: Store;
  let plain: Redis;
  onOneServer((opened) => {
    ({ store, plain } = opened);
  });

  const list = (after: string | null, limit: number, values = false): Promise<ListPage> => {
    assert.ok(store.list !== undefined);
    return store.list({ range: RANGE, after, limit, values }, call);
  };
  const keysIn = async (limit = 100, values = false): Promise<string[]> =>
    [...new Set(await walked((after) => list(after, limit, values)))].sort();

  async function mixed(): Promise<void> {
    await store.set(write("app||hash", "1"), call);
    await plain.set("app||string", "2");
    await plain.set("app||empty string", "");
    await plain.hset("app||first write", "data", "3", "first-write", "0", "version", "1");
    await plain.hset("app||empty", "data", "", "version", "1");
    await plain.hset("app||without version", "data", "4");
    await plain.hset("app||without data", "version", "1");
    await plain.lpush("app||list", "a");
    await plain.sadd("app||set", "a");
    await plain.hset("app||actor||1||state", "data", "5", "version", "1");
    await plain.hset(Buffer.from("app||\xff", "latin1"), "data", "6", "version", "1");
  }
  const rows = ["app||empty", "app||empty string", "app||first write", "app||hash", "app||string"];

  it("tells hashes with data and version, and the plain strings of early Daprs, and nothing else", async () => {
    await mixed();
    assert.deepEqual(await keysIn(), rows);
    assert.deepEqual(await keysIn(100, true), rows);
    assert.deepEqual(await keysIn(1), rows);
  });

  it("reads no more values for a page than it may hold, although one step finds more", async () => {
    const text = "x".repeat(LIST_BYTES_MAX / 4);
    const names = Array.from({ length: 12 }, (_, index) => `app||${index + 10}`);
    for (const key of names) await store.set(write(key, text), call);
    const before = await commandCalls("hmget");
    const { rows: told } = await list(null, 100, true);
    assert.ok(told.length > 0 && told.length <= 4, `${told.length} rows`);
    assert.equal((await commandCalls("hmget")) - before, told.length);
    assert.deepEqual(await keysIn(100, true), names);
  });

  it("tells a value that is larger than a page may hold", async () => {
    for (const key of ["app||a", "app||b"]) await store.set(write(key, "x".repeat(LIST_BYTES_MAX + 1)), call);
    assert.equal((await list(null, 100, true)).rows.length, 1);
    assert.deepEqual(await keysIn(100, true), ["app||a", "app||b"]);
  });

  it("leaves plain strings alone where there is no key prefix: they may be any program's", async () => {
    await store.set(write("hash", "1"), call);
    await store.set(write("string by now", "1"), call);
    await plain.set("session:1", "foreign");
    for (const values of [false, true]) {
      const request = { range: { scope: "", start: "" }, after: null, limit: 10, values };
      const told = await store.list?.(request, call);
      assert.deepEqual(told?.rows.map(({ key }) => key).toSorted(), ["hash", "string by now"]);
    }
    await plain.set("string by now", "foreign");
    assert.equal(await store.removeListed?.(["hash", "string by now", "session:1"], call), 1);
    assert.equal(await plain.exists("string by now", "session:1"), 2);
  });

  it("gives a plain string without an ETag, as a read does", async () => {
    await plain.set("app||string", "2", "EX", 100);
    const [row] = (await list(null, 10, true)).rows;
    assert.equal(Buffer.from(row?.found?.bytes ?? []).toString(), "2");
    assert.equal(row?.found?.etag, null);
    assert.ok((row?.found?.expiresAtMs ?? 0) > Date.now());
  });

  it("deletes only what is still a row", async () => {
    await mixed();
    await plain.del("app||hash");
    await plain.lpush("app||hash", "something else by now");
    const others = ["app||without version", "app||without data", "app||list", "app||set", "app||missing"];
    assert.equal(await store.removeListed?.([...rows, ...others], call), 4);
    assert.equal(await plain.exists("app||hash", ...others.slice(0, 4)), 5);
    assert.deepEqual(await keysIn(), []);
  });

  it("refuses positions that are none, and takes a cursor that Redis never gave", async () => {
    await mixed();
    for (const after of ["", "x", "-1", "1.short", "0x10", "18446744073709551616", `0${".aaaaaaaaaaa".repeat(129)}`]) {
      await assert.rejects(list(after, 10), { code: "refused" }, after);
    }
    const first = await list(null, 1);
    const place = (first.next ?? "").split("~").slice(0, 3).join("~");
    assert.match(place, /^-~0~[\w-]{11}$/);
    for (const after of [`${place}~x`, `${place}~18446744073709551616`, `${place}~1~2`, place, "-~0~~1", "-~1~~"]) {
      await assert.rejects(list(after, 10), { code: "refused" }, after);
    }
    const { rows: told } = await list(`${place}~18446744073709551615`, 10);
    assert.ok(told.every(({ key }) => rows.includes(key)));
  });

  it("begins anew when the server has started again, whose cursors mean something else by now", async () => {
    const keys = Array.from({ length: 300 }, (_, index) => `app||k${index}`).toSorted();
    const server = await startRedis({ appendOnly: true });
    const restarted = await openStore({ port: server.port });
    const page = async (after: string | null, limit: number): Promise<ListPage> =>
      (await restarted.list?.({ range: RANGE, after, limit, values: false }, call)) ?? { rows: [], next: null };
    try {
      await Promise.all(keys.map((key) => restarted.set(write(key, "1"), call)));
      const first = await page(null, 150);
      assert.ok(first.next !== null);
      await server.restart();
      await eventually(() => restarted.ping(call));
      const rest = await walked((after) => page(after ?? first.next, 50));
      assert.deepEqual([...new Set(rest)].toSorted(), keys);
    } finally {
      await restarted.close();
      await server.stop();
    }
  });

  it("tells the keys that stay while the server makes its table larger and smaller", async () => {
    const stays = Array.from({ length: 300 }, (_, index) => `app||stays-${index}`);
    await Promise.all(stays.map((key) => store.set(write(key, "1"), call)));
    let pages = 0;
    const keys = await walked(async (after) => {
      const page = await list(after, 3);
      assert.ok(page.rows.length <= 3);
      // A table of 300 keys, of 20,000, and of 300 again.
      if (pages === 20) await crowd(20_000);
      if (pages === 60) await plain.eval("for i = 1, 20000 do redis.call('DEL', 'crowd-' .. i) end", 0);
      pages++;
      return page;
    });
    assert.ok(pages > 60, `${pages} pages`);
    assert.deepEqual(
      stays.filter((key) => !keys.includes(key)),
      [],
    );
  }).timeout(120_000);

  const crowd = (count: number): Promise<unknown> =>
    plain.eval(`for i = 1, ${count} do redis.call('SET', 'crowd-' .. i, '') end`, 0);

  it("finds few keys among very many others in a bounded number of calls per page", async () => {
    await crowd(120_000);
    await store.set(write("app||a", "1"), call);
    const before = await commandCalls("scan");
    let pages = 0;
    const keys = await walked((after) => {
      pages++;
      return list(after, 10);
    });
    assert.deepEqual(keys, ["app||a"]);
    assert.ok(pages > 1, "one page looked at everything");
    const calls = (await commandCalls("scan")) - before;
    assert.ok(calls <= pages * SCAN_CALLS_MAX && calls < 300, `${calls} calls of SCAN in ${pages} pages`);
  }).timeout(120_000);

  async function commandCalls(name: string): Promise<number> {
    const stats = await plain.info("commandstats");
    return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  }

  it("ends a page when the client leaves", async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(
      async () => store.list?.({ range: RANGE, after: null, limit: 10, values: false }, { signal }),
      {
        code: "timeout",
      },
    );
    await store.remove(removal("app||a"), call);
  });
});

describe("a page of SCAN", () => {
  /** A table as Redis walks it: each step tells one bucket whole, whatever COUNT asks for. */
  function buckets(table: () => readonly (readonly string[])[], counts: number[] = []): RowLink {
    return {
      expiryCommand: "pttl",
      hasJson: false,
      async call(_effect, name, args) {
        if (name !== "scan") return 1;
        counts.push(Number(args[4]));
        const at = Number(args[0]);
        const keys = table()[at] ?? [];
        const next = at + 1 < table().length ? at + 1 : 0;
        return [Buffer.from(String(next)), keys.map((key) => Buffer.from(key))];
      },
    };
  }

  const page = (link: RowLink, after: string | null, limit: number): Promise<ListPage> =>
    scanPage({
      link,
      read: (_key, task) => task(link),
      clock: systemClock,
      call,
      range: RANGE,
      after,
      limit,
      values: false,
    });

  it("tells a row that was a document when it was first looked at, and is a hash by now", async () => {
    const table = buckets(() => [["app||k"]]);
    let looks = 0;
    const link: RowLink = {
      ...table,
      hasJson: true,
      async call(effect, name, args) {
        if (name === "hexists" && ++looks <= 2) throw new RedisError("corrupt", "", { reply: "WRONGTYPE" });
        return name === "evalsha" ? NO_MEASURE.hash : table.call(effect, name, args);
      },
    };
    const { rows } = await page(link, null, 10);
    assert.deepEqual(
      rows.map(({ key }) => key),
      ["app||k"],
    );
  });

  const bucket = (name: string, size: number): string[] =>
    Array.from({ length: size }, (_, index) => `app||${name}${index}`);

  it("tells a bucket that holds more than a page in parts", async () => {
    const table = [bucket("a", 10), [], bucket("b", 3), bucket("c", 7)];
    for (const limit of [1, 2, 3, 4, 10]) {
      const keys = await walked(async (after) => {
        const answer = await page(
          buckets(() => table),
          after,
          limit,
        );
        assert.ok(answer.rows.length <= limit);
        return answer;
      });
      assert.deepEqual(keys.toSorted(), table.flat().toSorted(), `pages of ${limit}`);
    }
  });

  it("tells what has come into a bucket between two parts of it", async () => {
    let table = [bucket("a", 5)];
    const first = await page(
      buckets(() => table),
      null,
      3,
    );
    // The table has become smaller: the bucket now also holds what was elsewhere, before the keys that were told.
    table = [["app||0", ...bucket("a", 5)]];
    const rest = await walked((after) =>
      page(
        buckets(() => table),
        after ?? first.next,
        3,
      ),
    );
    const told = [...first.rows.map(({ key }) => key), ...rest].toSorted();
    assert.deepEqual(told, ["app||0", ...bucket("a", 5)]);
  });

  it("ends with an error, and loses no key, when one bucket holds more than a position can name", async () => {
    const link = buckets(() => [bucket("a", 200)]);
    await assert.rejects(
      walked((after) => page(link, after, 3)),
      { code: "failed", message: /more than 128 keys.*larger pages/ },
    );
    assert.equal((await walked((after) => page(link, after, 128))).length, 200);
  });

  it("looks at more keys per call the less it finds, up to a limit, and ends an empty page after so many calls", async () => {
    const counts: number[] = [];
    const link = buckets(() => Array.from({ length: 500 }, () => []), counts);
    const first = await page(link, null, 10);
    assert.deepEqual([first.rows.length, first.next], [0, String(SCAN_CALLS_MAX)]);
    assert.deepEqual(counts.slice(0, 3), [8, 16, 32]);
    assert.equal(Math.max(...counts), SCAN_KEYS_MAX);
  });

  it("tells a key once that one page meets twice", async () => {
    const link = buckets(() => [bucket("a", 2), bucket("a", 3)]);
    assert.equal((await page(link, null, 10)).rows.length, 3);
  });
});
