// What happens to requests when the service throttles, fails, hangs or is cut off: by a front of ours before a real server,
// since DynamoDB Local does none of it by itself.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "#kit/clock.ts";
import { type Store, StoreError } from "#sidecar/stores/store.ts";
import { describeWithDynamo } from "#test/servers/dynamodb.ts";
import type { FrontAnswer } from "#test/servers/dynamodb-front.ts";
import { freePort } from "#test/servers/free-port.ts";
import {
  call,
  deletion,
  listeningLog,
  onOneServer,
  openStore,
  read,
  removal,
  textOf,
  upsert,
  write,
} from "./fixture.ts";

const refusal = (type: string, status = 400, members: object = {}): FrontAnswer => ({ status, type, members });
const THROTTLED = refusal("ProvisionedThroughputExceededException");
const FAILED = refusal("InternalServerError", 500);
const AWAY = refusal("ServiceUnavailable", 503);

const cancelledBy = (...codes: string[]): FrontAnswer => {
  const CancellationReasons = codes.map((Code) => ({ Code }));
  return refusal("TransactionCanceledException", 400, { CancellationReasons });
};

const transact = async (store: Store, ...changes: Parameters<NonNullable<Store["transact"]>>[0]): Promise<void> =>
  store.transact?.(changes, call);

describeWithDynamo("a DynamoDB store in trouble", () => {
  const { open, openThroughFront, metadata, server, rawGet, keep } = onOneServer();

  it("does not open where nobody listens, and says where", async () => {
    const place = `127.0.0.1:${await freePort()}`;
    await assert.rejects(openStore(metadata({ endpoint: `http://${place}` })), {
      name: "StoreError",
      code: "unavailable",
      message: `cannot connect to DynamoDB at ${place}: ECONNREFUSED`,
    });
  });

  it("does not open on a service that hangs, and ends when its time is up", async () => {
    const { front } = await openThroughFront();
    front.answer = () => "hang";
    const opened = openStore(metadata({ endpoint: front.endpoint }), { signal: AbortSignal.timeout(200) });
    await assert.rejects(opened, { code: "timeout" });
  });

  for (const [what, table, more] of [
    ["without the table", () => Promise.resolve("nobody-has-it"), /has no table nobody-has-it; create it/],
    ["whose hash key has another name", () => server().createTable({ hashKey: "id" }), /string key as its hash key/],
    ["whose hash key is a number", () => server().createTable({ hashType: "N" }), /string key as its hash key/],
    ["with a sort key", () => server().createTable({ sortKey: "s" }), /no sort key/],
  ] as const) {
    it(`does not open ${what}, and says what to do`, async () => {
      await assert.rejects(openStore(metadata({ table: await table() })), (error) => {
        assert.ok(error instanceof StoreError);
        assert.match(error.message, more);
        assert.match(error.message, /docs\/stores\/aws\.dynamodb\.md/);
        return true;
      });
    });
  }

  for (const [what, answer] of [
    ["is throttled", THROTTLED],
    ["meets a transaction", refusal("TransactionConflictException")],
  ] as const) {
    it(`sends again what ${what}`, async () => {
      const { front, store } = await openThroughFront();
      const again = async (operation: string, work: () => Promise<unknown>): Promise<void> => {
        front.next(operation, answer, answer);
        await work();
        assert.equal(front.of(operation).length, 3);
        front.asked.length = 0;
      };
      await again("PutItem", () => store.set(write("again", "1"), call));
      await again("GetItem", async () => assert.equal(await textOf(store, "again"), "1"));
      await again("BatchGetItem", async () => store.getMany?.(["again"], read, call));
      await again("TransactWriteItems", () => transact(store, upsert("again", "2")));
      await again("DeleteItem", () => store.remove(removal("again"), call));
      assert.equal(await rawGet("again"), null);
    });
  }

  it("gives up in the end when it is throttled, and has written nothing", async () => {
    const { front, store } = await openThroughFront();
    front.answer = () => THROTTLED;
    await assert.rejects(store.set(write("throttled", "1"), call), {
      code: "unavailable",
      message: /throttles: the capacity of table/,
    });
    assert.ok(front.of("PutItem").length >= 5);
    assert.equal(await rawGet("throttled"), null);
  }).timeout(120_000);

  it("stops trying when the caller leaves or the store is closed", async () => {
    const { front, store } = await openThroughFront();
    front.answer = () => THROTTLED;
    const leaving = new AbortController();
    const left = store.set(write("left", "1"), { signal: leaving.signal });
    const closed = store.set(write("closed", "1"), call);
    while (front.of("PutItem").length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    leaving.abort();
    await assert.rejects(left, StoreError);
    await store.close();
    // Between two attempts, or in the middle of one.
    await assert.rejects(closed, ({ code }) => code === "closed" || code === "unknown-outcome");
    const asked = front.asked.length;
    await assert.rejects(store.get("left", read, call), { code: "closed" });
    assert.equal(front.asked.length, asked);
  });

  it("keeps connections for the next requests, at most 64, and none after close", async () => {
    const { front, store } = await openThroughFront();
    const together = Array.from({ length: 100 }, (_, index) => store.set(write(`many-${index}`, "1"), call));
    await Promise.all(together);
    const open = await front.connections();
    assert.ok(open > 1 && open <= 64, String(open));
    await store.close();
    const end = Date.now() + 30_000;
    while ((await front.connections()) > 0) {
      assert.ok(Date.now() < end, "connections are still open");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  for (const [what, answer] of [
    ["fails", FAILED],
    ["is away", AWAY],
    ["is cut off", "cut"],
    ["is a proxy with a page of its own", { status: 502, text: "<html>bad gateway</html>" }],
    ["is no DynamoDB", { status: 200, text: "<html>welcome</html>" }],
  ] as const) {
    it(`repeats a read, and no write, when the service ${what}`, async () => {
      const { front, store } = await openThroughFront();
      await store.set(write("doubt", "1"), call);
      front.asked.length = 0;
      front.next("GetItem", answer);
      assert.equal(await textOf(store, "doubt"), "1");
      const unknown = { code: "unknown-outcome", message: /the write may have happened$/ };
      front.next("PutItem", answer);
      await assert.rejects(store.set(write("doubt", "2"), call), unknown);
      front.next("DeleteItem", answer);
      await assert.rejects(store.remove(removal("doubt"), call), unknown);
      assert.deepEqual(
        ["GetItem", "PutItem", "DeleteItem"].map((operation) => front.of(operation).length),
        [2, 1, 1],
      );
    });

    it(`sends a transaction again under its token when the service ${what}`, async () => {
      const { front, store } = await openThroughFront();
      front.next("TransactWriteItems", answer);
      await transact(store, upsert("token", "1"));
      const [first, second, ...more] = front.of("TransactWriteItems");
      assert.ok(first !== undefined && more.length === 0);
      assert.match(String(first.body.ClientRequestToken), /^[\da-f-]{36}$/);
      assert.deepEqual(second?.body, first.body);
      assert.equal(await textOf(store, "token"), "1");
    });
  }

  it("makes a transaction once whose answer was lost", async () => {
    const { front, store } = await openThroughFront();
    await store.set(write("once", "1"), call);
    const etag = (await store.get("once", read, call))?.etag ?? "";
    front.next("TransactWriteItems", "cut-after");
    // A second transaction of its own would meet the ETag of the first.
    await transact(store, upsert("once", "2", { etag }));
    assert.deepEqual([await textOf(store, "once"), front.of("TransactWriteItems").length], ["2", 2]);
  });

  it("leaves open what became of a transaction whose answer was lost, whatever later attempts are told", async () => {
    const { front, store } = await openThroughFront();
    const lost = { code: "unknown-outcome", message: /the write may have happened$/ };
    front.next("TransactWriteItems", "cut-after", refusal("AccessDeniedException"));
    await assert.rejects(transact(store, upsert("lost", "1")), lost);
    front.next("TransactWriteItems", "cut-after", cancelledBy("ConditionalCheckFailed"));
    await assert.rejects(transact(store, upsert("lost", "2", { firstWrite: false })), lost);
  });

  it("says of a write whose answer was lost that it may have happened, and it has", async () => {
    const { front, store } = await openThroughFront();
    front.next("PutItem", "cut-after");
    await assert.rejects(store.set(write("cut", "1"), call), { code: "unknown-outcome" });
    assert.deepEqual((await rawGet("cut"))?.value, { S: "1" });
    assert.equal(front.of("PutItem").length, 1);
  });

  it("ends in time when no answer comes, and repeats the read over another connection", async () => {
    const { front, store } = await openThroughFront();
    await store.set(write("hang", "1"), call);
    const hung = new Set<string>();
    front.answer = ({ operation }) => {
      if (hung.has(operation)) return "pass";
      hung.add(operation);
      return "hang";
    };
    const unknown = { code: "timeout", message: /may have happened$/ };
    await Promise.all([
      assert.rejects(store.set(write("hang", "2"), call), unknown),
      textOf(store, "hang").then((text) => assert.equal(text, "1")),
      transact(store, upsert("hang-too", "3")),
    ]);
    assert.equal(await textOf(store, "hang-too"), "3");
    assert.deepEqual(
      ["PutItem", "GetItem", "TransactWriteItems"].map((operation) => front.of(operation).length),
      // The first PutItem came before; of the reads two were the test's own, and one was made to open.
      [2, 4, 2],
    );
  }).timeout(120_000);

  it("takes a transaction that is still under way for one whose end is to be waited for", async () => {
    const { front, store } = await openThroughFront();
    front.next("TransactWriteItems", "cut-after", refusal("TransactionInProgressException"));
    await transact(store, upsert("progress", "1"));
    assert.equal(await textOf(store, "progress"), "1");
  });

  it("sends a transaction again that others have cancelled, and none whose conditions do not hold", async () => {
    const { front, store } = await openThroughFront();
    for (const reason of ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"]) {
      front.asked.length = 0;
      front.next("TransactWriteItems", cancelledBy("None", reason));
      await transact(store, upsert("busy", "1"), deletion("none"));
      assert.equal(front.of("TransactWriteItems").length, 2);
    }
    front.asked.length = 0;
    await assert.rejects(transact(store, deletion("busy", { etag: "other" })), { code: "etag-mismatch" });
    assert.equal(front.of("TransactWriteItems").length, 1);
  });

  it("asks again for the keys that a bulk read leaves", async () => {
    const { front, store } = await openThroughFront();
    const keys = Array.from({ length: 60 }, (_, index) => `bulk-${index}`);
    // More than the 16 MB of one answer.
    const value = "v".repeat(400_000);
    for (const key of keys) await store.set(write(key, value), call);
    front.asked.length = 0;
    const rows = (await store.getMany?.(keys, read, call)) ?? [];
    assert.ok(rows.every((row) => row !== null && !(row instanceof StoreError) && row.bytes.length === 400_000));
    assert.ok(front.of("BatchGetItem").length > 1);
    assert.equal(front.of("GetItem").length, 0);
  });

  it("waits where a bulk read leaves all of its keys, and gives up in the end", async () => {
    const { front, store } = await openThroughFront();
    await store.set(write("left-0", "1"), call);
    const Keys = [{ key: { S: "left-0" } }, { key: { S: "left-1" } }];
    const table = metadata().table ?? "";
    const none: FrontAnswer = {
      status: 200,
      text: JSON.stringify({ Responses: { [table]: [] }, UnprocessedKeys: { [table]: { Keys } } }),
    };
    front.next("BatchGetItem", none, none);
    const [first, second] = (await store.getMany?.(["left-0", "left-1"], read, call)) ?? [];
    assert.ok(first !== null && first !== undefined && second === null);
    front.answer = () => none;
    const readAll = async (): Promise<unknown> => store.getMany?.(["left-0", "left-1"], read, call);
    await assert.rejects(readAll(), { code: "unavailable", message: /throttles/ });
  }).timeout(120_000);

  it("waits longer and longer where a bulk read leaves more keys than its answer has no room for", async () => {
    const pausesMs: number[] = [];
    const after: Clock["after"] = (delayMs, task) => {
      if (delayMs < 2_500) pausesMs.push(delayMs);
      return systemClock.after(delayMs < 2_500 ? 0 : delayMs, task);
    };
    const { front, store } = await openThroughFront({}, { clock: { ...systemClock, after } });
    const table = metadata().table ?? "";
    const keys = ["part-0", "part-1", "part-2", "part-3"];
    const leaving = (...left: readonly string[]): FrontAnswer => {
      const Keys = left.map((key) => ({ key: { S: key } }));
      return {
        status: 200,
        text: JSON.stringify({ Responses: { [table]: [] }, UnprocessedKeys: { [table]: { Keys } } }),
      };
    };
    front.next("BatchGetItem", leaving(...keys.slice(1)), leaving(...keys.slice(2)), leaving(...keys.slice(3)));
    assert.deepEqual(await store.getMany?.(keys, read, call), [null, null, null, null]);
    // Each is cut by chance, to no less than its half.
    assert.deepEqual(
      pausesMs.map((ms) => 50 * 2 ** Math.ceil(Math.log2(ms / 50))),
      [50, 100, 200],
    );
  });

  it("reads strongly when asked to, and only then", async () => {
    const { front, store } = await openThroughFront();
    front.asked.length = 0;
    for (const strong of [true, false]) {
      await store.get("k", { strong, metadata: {} }, call);
      await store.getMany?.(["k"], { strong, metadata: {} }, call);
    }
    const table = metadata().table ?? "";
    assert.deepEqual(
      front.of("GetItem").map(({ body }) => body.ConsistentRead),
      [true, false],
    );
    const batches = front.of("BatchGetItem").map(({ body }) => JSON.stringify(Object(body.RequestItems)[table]));
    assert.deepEqual(
      batches.map((batch) => /"ConsistentRead":(\w+)/.exec(batch)?.[1]),
      ["true", "false"],
    );
  });

  it("reads key by key where the policy has no right to batches, and says so once", async () => {
    const log = listeningLog();
    const { front, store } = await openThroughFront({}, { log });
    await store.set(write("single", "1"), call);
    front.answer = ({ operation }) => (operation === "BatchGetItem" ? refusal("AccessDeniedException") : "pass");
    for (let turn = 0; turn < 2; turn++) {
      const [found, none] = (await store.getMany?.(["single", "none"], read, call)) ?? [];
      assert.ok(found !== null && found !== undefined && !(found instanceof StoreError) && none === null);
    }
    assert.equal(front.of("BatchGetItem").length, 1);
    const fields = JSON.stringify({ table: metadata().table });
    assert.deepEqual(log.warnings, [`no right to dynamodb:BatchGetItem: bulk reads go key by key ${fields}`]);
  });

  it("goes back to batches when it was all rights that lacked for a while", async () => {
    const log = listeningLog();
    const { front, store } = await openThroughFront({}, { log });
    front.answer = () => refusal("AccessDeniedException");
    await assert.rejects(async () => store.getMany?.(["a", "b"], read, call), { code: "unavailable" });
    front.answer = () => "pass";
    const before = front.of("BatchGetItem").length;
    assert.deepEqual(await store.getMany?.(["a", "b"], read, call), [null, null]);
    assert.deepEqual([front.of("BatchGetItem").length, log.warnings], [before + 1, []]);
  });

  it("opens with the right to read a key, and no other", async () => {
    const { front } = await openThroughFront();
    front.answer = ({ operation }) => (operation === "GetItem" ? "pass" : refusal("AccessDeniedException"));
    const store = await openStore(metadata({ endpoint: front.endpoint }));
    keep(store, () => store.close());
    await store.ping(call);
    const denied = { code: "unavailable", message: /does not allow this; see the rights/ };
    await assert.rejects(store.set(write("denied", "1"), call), denied);
  });

  it("works again with the next request when the service is back", async () => {
    const { front, store } = await openThroughFront();
    front.answer = () => FAILED;
    await assert.rejects(store.set(write("back", "1"), call), { code: "unknown-outcome" });
    front.answer = () => "pass";
    await store.set(write("back", "2"), call);
    assert.equal(await textOf(await open(), "back"), "2");
  });
});
