// What each answer of Cosmos DB comes to: which are tried again, after what pause, and which error is told.
import assert from "node:assert/strict";
import type { Store, StoreErrorCode } from "#sidecar/stores/store.ts";
import { call, hastyClock, onOneEndpoint, type Reply, read, removal, textOf, write } from "./fixture.ts";

const DOCUMENT = { id: "k", value: 1, isBinary: false, partitionKey: "k", _etag: '"1"', _ts: 1_700_000_000 };
const FOUND: Reply = { status: 200, body: DOCUMENT };

/** An answer with a substatus, and a wish for a pause. */
function answer(status: number, substatus = 0, retryAfterMs?: number): Reply {
  const pause: Record<string, string> =
    retryAfterMs === undefined ? {} : { "x-ms-retry-after-ms": String(retryAfterMs) };
  return { status, headers: { "x-ms-substatus": String(substatus), ...pause }, body: { message: "not for our eyes" } };
}

describe("the answers of Cosmos DB", () => {
  const { endpoint, open } = onOneEndpoint();

  const get = (store: Store): Promise<unknown> => store.get("k", read, call);
  const set = (store: Store): Promise<void> => store.set(write("k", "1"), call);

  interface Told {
    readonly code: StoreErrorCode;
    readonly message: RegExp;
    readonly requests: number;
  }

  /** `reply` for ever, and what comes of it. */
  async function told(reply: Reply, work: (store: Store) => Promise<unknown>, want: Told): Promise<void> {
    const store = await open({}, { clock: hastyClock() });
    endpoint().reply = () => reply;
    await assert.rejects(work(store), { name: "StoreError", code: want.code, message: want.message });
    assert.equal(endpoint().taken().length, want.requests);
  }

  for (const status of [429, 449, 410])
    it(`a ${status} is tried again after the pause that the server wants`, async () => {
      const clock = hastyClock();
      const store = await open({}, { clock });
      for (const work of [get, set]) {
        clock.pausesMs.length = 0;
        endpoint().taken();
        endpoint().reply = (_request, count) => (count < 4 ? answer(status, 3200, 250) : FOUND);
        await work(store);
        assert.deepEqual([clock.pausesMs, endpoint().taken().length], [[250, 250, 250], 4]);
      }
    });

  it("a 429 ends the call after ten attempts, and says so", () =>
    told(answer(429, 3200, 20), set, {
      code: "unavailable",
      message: /no throughput left .*; gave up after 10 attempts; the next would have to wait 20 ms$/,
      requests: 10,
    }));

  it("a 429 that wants a longer pause than the call has ends it at once", () =>
    told(answer(429, 3200, 60_000), set, { code: "unavailable", message: /gave up after 1 attempts/, requests: 1 }));

  it("a 429 without a wish is tried again after pauses that grow", async () => {
    const clock = hastyClock();
    const store = await open({}, { clock });
    endpoint().reply = (_request, count) => (count < 4 ? answer(429) : FOUND);
    await set(store);
    assert.deepEqual(clock.pausesMs, [50, 100, 200]);
  });

  for (const [status, code, message] of [
    [500, "unknown-outcome", /failed \(status 500.*the write may have happened$/],
    [502, "unknown-outcome", /failed \(status 502.*the write may have happened$/],
    [503, "unknown-outcome", /failed \(status 503.*the write may have happened$/],
    [408, "timeout", /took too long \(status 408.*the write may have happened$/],
  ] as const) {
    it(`a ${status} leaves open what became of a write, which is not sent again`, () =>
      told(answer(status), set, { code, message, requests: 1 }));
    it(`a ${status} to a read is tried again three times`, () =>
      told(answer(status), get, {
        code: status === 408 ? "timeout" : "unavailable",
        message: /gave up after 4 attempts$/,
        requests: 4,
      }));
  }

  for (const [what, reply, code, message] of [
    ["a 401", answer(401), "unavailable", /refused the sign-in .*check masterKey/],
    ["a 403", answer(403, 0), "unavailable", /does not allow this .*firewall.*read-only/],
    ["a 403 of a full partition", answer(403, 1014), "unavailable", /has no space left in this partition/],
    ["a 404 of a container", answer(404, 1003), "unavailable", /has no such database or container/],
    [
      "a 404 of something else",
      answer(404, 1008),
      "unavailable",
      /has no such resource \(status 404, substatus 1008\)/,
    ],
    ["a 413", answer(413), "refused", /takes no document and no transaction of this size/],
    ["a 400", answer(400, 1001), "failed", /refused the request \(status 400, substatus 1001\)/],
    ["a redirection", answer(302), "failed", /refused the request \(status 302/],
  ] as const)
    it(`${what} fails reads and writes at once, and its own words are not shown`, async () => {
      for (const work of [get, set]) {
        await told(reply, work, { code, message, requests: 1 });
        await told(reply, work, { code, message: /^(?!.*our eyes)/, requests: 1 });
      }
    });

  it("a region that takes no writes is tried again", () =>
    told(answer(403, 3), set, { code: "unavailable", message: /takes no writes in this region now/, requests: 10 }));

  it("a 404 is a missing document, and one to a new document a missing container", async () => {
    const store = await open();
    endpoint().reply = () => answer(404, 0);
    assert.equal(await store.get("k", read, call), null);
    await store.remove(removal("k"), call);
    await assert.rejects(set(store), { code: "unavailable", message: /no such database or container/ });
  });

  it("a condition that does not hold is a conflict", async () => {
    const store = await open();
    const conflict = async (status: number, work: Promise<void>, message: RegExp): Promise<void> => {
      endpoint().reply = () => answer(status, 0);
      await assert.rejects(work, { code: "etag-mismatch", message });
    };
    await conflict(412, store.set(write("k", "1", { etag: "e" }), call), /has another etag/);
    await conflict(404, store.set(write("k", "1", { etag: "e" }), call), /there is no value under the key/);
    await conflict(409, store.set(write("k", "1", { firstWrite: true }), call), /item already exists/);
    await conflict(412, store.remove(removal("k", { etag: "e" }), call), /has another etag/);
    await conflict(404, store.remove(removal("k", { etag: "e" }), call), /there is no value under the key/);
    await conflict(412, store.remove(removal("k", { firstWrite: true }), call), /item already exists/);
  });

  it("a 409 without a condition is another key of the container's own, and no conflict", () =>
    told(answer(409), set, { code: "failed", message: /refused the request \(status 409\)/, requests: 1 }));

  for (const etag of ["*", '"a","b"', '"a" ', 'W/"a"', "a\r\nx: y", '""', '"', "é", "x".repeat(300)])
    it(`an ETag that is none is a conflict, and is not sent: ${JSON.stringify(etag.slice(0, 12))}`, async () => {
      const store = await open();
      await assert.rejects(store.set(write("k", "1", { etag }), call), { code: "etag-mismatch" });
      await assert.rejects(store.remove(removal("k", { etag }), call), { code: "etag-mismatch" });
      assert.equal(endpoint().taken().length, 0);
    });

  it("something that is no answer is an error, and leaves open what became of a transaction", async () => {
    const store = await open();
    endpoint().reply = () => ({ status: 200, body: "hello" });
    await assert.rejects(store.get("k", read, call), { code: "corrupt" });
    await assert.rejects(async () => store.getMany?.(["a", "b"], read, call), { code: "failed" });
    const transaction = store.transact?.([{ kind: "upsert", write: write("k", "1") }], call);
    await assert.rejects(async () => transaction, { code: "unknown-outcome", message: /may have happened/ });
  });
});

describe("a session with Cosmos DB", () => {
  const { endpoint, open } = onOneEndpoint();
  const SESSION = "x-ms-session-token";
  const withToken = (token: string): Reply => ({ status: 200, headers: { [SESSION]: token }, body: DOCUMENT });

  /** The header of the next read. */
  async function tokenOfRead(store: Store): Promise<unknown> {
    endpoint().taken();
    endpoint().reply = () => FOUND;
    await store.get("k", read, call);
    return endpoint().taken()[0]?.headers[SESSION];
  }

  it("is told with reads and queries, after what writes have answered, and with no write", async () => {
    const store = await open();
    assert.equal(await tokenOfRead(store), undefined);
    endpoint().reply = () => withToken("0:-1#7");
    await store.set(write("k", "1"), call);
    await store.set(write("k", "1"), call);
    assert.deepEqual(
      endpoint()
        .taken()
        .map(({ headers }) => headers[SESSION]),
      [undefined, undefined],
    );
    assert.equal(await tokenOfRead(store), "0:-1#7");
    endpoint().reply = () => ({ status: 200, body: { Documents: [] } });
    await store.getMany?.(["a", "b"], read, call);
    assert.equal(endpoint().taken()[0]?.headers[SESSION], "0:-1#7");
  });

  it("keeps the newest token of each partition, in whatever order answers come", async () => {
    const store = await open();
    for (const token of ["0:1#9#4=8", "1:1#5", "0:1#8#4=9", "1:2#1", "1:1#99", "2:40", "2:39", "junk", "3:x#y"]) {
      endpoint().reply = () => withToken(token);
      await store.get("k", read, call);
    }
    assert.deepEqual(
      String(await tokenOfRead(store))
        .split(",")
        .sort(),
      ["0:1#9#4=8", "1:2#1", "2:40"],
    );
  });

  it("is waited for, and a document that a replica has not got yet is never a missing one", async () => {
    const clock = hastyClock();
    const store = await open({}, { clock });
    endpoint().reply = (_request, count) => (count < 3 ? answer(404, 1002) : FOUND);
    assert.equal(await textOf(store, "k"), "1");
    assert.deepEqual(clock.pausesMs, [50, 100]);
  });

  it("is given up with an error when no replica catches up, so that later reads go on", async () => {
    const lines: string[] = [];
    const store = await open({}, { clock: hastyClock(), lines });
    endpoint().reply = () => withToken("0:-1#7");
    await store.set(write("k", "1"), call);
    endpoint().reply = () => answer(404, 1002);
    await assert.rejects(store.get("k", read, call), {
      code: "unavailable",
      message: /has not caught up .* 10 attempts$/,
    });
    assert.match(lines.join(""), /does not catch up/);
    assert.equal(await tokenOfRead(store), undefined);
  });

  it("holds no more than two hundred partitions", async () => {
    const store = await open();
    endpoint().reply = () => withToken(Array.from({ length: 250 }, (_, index) => `${index}:-1#1`).join(","));
    await store.get("k", read, call);
    const tokens = String(await tokenOfRead(store)).split(",");
    assert.deepEqual([tokens.length, tokens[0]], [200, "50:-1#1"]);
  });
});
