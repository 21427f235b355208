// What the stores over a pool of SQL connections do when their server, or the way to it, fails, as tests of the describe
// that asks for them.
import assert from "node:assert/strict";
import type { Log } from "#kit/log.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { eventually } from "./eventually.ts";
import { type Fields, listeningLog } from "./opening.ts";
import { call, read, removal, textOf, transact, upsert, write } from "./requests.ts";
import type { ThroughProxy } from "./trouble.ts";

export interface PooledSubject {
  /** "mysql", as errors name it. */
  readonly product: string;
  /** The name of the field that bounds a call, with what means four seconds in it. */
  readonly timeout: readonly [field: string, short: string];
  /** Fields with which a call may wait for longer than the test lasts. */
  readonly patient: Fields;
  /** A database, or what the product calls it, that no other test has. */
  place(): Promise<string> | string;
  /** A store there; closed after the test. */
  open(place: string, fields?: Fields, log?: Log): Promise<Store>;
  throughProxy(fields?: Fields, log?: Log): Promise<ThroughProxy & { readonly name: string }>;
  /** How many connections the store has, as the server sees them, and how many of them wait for an answer. */
  sessions(place: string): Promise<{ readonly open: number; readonly busy: number }>;
  /** The server ends the connections of the store. */
  endSessions(place: string): Promise<void>;
  /** Nobody else gets to the table until what this gives is called. */
  lockTable(place: string): Promise<() => Promise<unknown>>;
}

/** What the pool lets wait for a connection. */
const QUEUE_MAX = 4096;

export function itPools(subject: PooledSubject): void {
  itFindsBack(subject);
  itTellsWhatIsInDoubt(subject);
  itBoundsThePool(subject);
}

function itFindsBack({ product, timeout: [field, short], throughProxy }: PooledSubject): void {
  it("fails fast while the server cannot be reached, says so once, and goes on when it can", async () => {
    const log = listeningLog();
    const { proxy, store } = await throughProxy({}, log);
    proxy.mode = "refuse";
    await eventually(() =>
      assert.rejects(store.get("k", read, call), { code: "unavailable", message: /127\.0\.0\.1:\d+/ }),
    );
    for (let turn = 0; turn < 20; turn++) await assert.rejects(store.ping(call), { code: "unavailable" });
    assert.equal(log.warnings.filter((each) => each.includes("cannot be reached")).length, 1, log.warnings.join("\n"));
    proxy.mode = "pass";
    await eventually(() => store.set(write("k", "1"), call));
    assert.equal(await textOf(store, "k"), "1");
  });

  it(`gives up a server that hangs within ${field}, read and write, and takes new connections`, async () => {
    const { proxy, store } = await throughProxy({ [field]: short });
    await store.set(write("k", "1"), call);
    proxy.mode = "black-hole";
    const late = new RegExp(`no answer from ${product} at 127\\.0\\.0\\.1:\\d+ within ${field}`);
    const [seen, written] = await Promise.allSettled([store.get("k", read, call), store.set(write("k", "2"), call)]);
    assert.ok(seen.status === "rejected" && written.status === "rejected");
    assert.match(`${seen.reason.code} ${seen.reason.message}`, /^(timeout no answer|unavailable no connection)/);
    assert.ok(late.test(seen.reason.message) || late.test(written.reason.message));
    proxy.mode = "pass";
    await eventually(() => store.set(write("k", "3"), call));
    assert.equal(await textOf(store, "k"), "3");
  });
}

function itTellsWhatIsInDoubt({ place, open, throughProxy, sessions, endSessions, lockTable }: PooledSubject): void {
  it("repeats a read whose connection the server has ended, and tells a write that nobody knows", async () => {
    const { proxy, store, name } = await throughProxy();
    await store.set(write("k", "1"), call);
    await endSessions(name);
    assert.equal(await textOf(store, "k"), "1");
    await store.set(write("k", "1"), call);
    const unsure = { code: "unknown-outcome", message: /the write may have happened/ };
    proxy.mode = "cut-after-request";
    await assert.rejects(store.set(write("k", "2"), call), unsure);
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "k"), "2"));
    await eventually(() => store.remove(removal("other"), call));
    proxy.mode = "cut-after-request";
    await assert.rejects(store.remove(removal("k"), call), unsure);
    proxy.mode = "pass";
    await eventually(async () => assert.equal(await textOf(store, "k"), null));
  });

  it("calls a transaction that breaks before its commit undone", async () => {
    const { proxy, store } = await throughProxy();
    await store.set(write("k", "1"), call);
    proxy.mode = "cut-after-request";
    await assert.rejects(transact(store, [upsert("k", "2"), upsert("l", "2")]), { code: "unavailable" });
    proxy.mode = "pass";
    await eventually(() => store.ping(call));
    assert.deepEqual([await textOf(store, "k"), await textOf(store, "l")], ["1", null]);
  });

  it("rejects what is under way when it is closed, and leaves no session on the server", async () => {
    const name = await place();
    const store = await open(name, { maxConns: "2" });
    await store.set(write("k", "1"), call);
    const unlock = await lockTable(name);
    const calls = Promise.allSettled([store.get("k", read, call), store.set(write("k", "2"), call), store.ping(call)]);
    await eventually(async () => assert.equal((await sessions(name)).busy, 2));
    await store.close();
    const codes = (await calls).map((each) => each.status === "rejected" && each.reason.code);
    assert.deepEqual(codes, ["closed", "unknown-outcome", "closed"]);
    await unlock();
    await eventually(async () => assert.equal((await sessions(name)).open, 0));
    await store.close();
    await assert.rejects(store.get("k", read, call), { code: "closed" });
  });
}

function itBoundsThePool({ product, patient, place, open, sessions, lockTable }: PooledSubject): void {
  it("makes no more connections than maxConns, and serves all that wait", async () => {
    const name = await place();
    const store = await open(name, { maxConns: "3" });
    await Promise.all(Array.from({ length: 200 }, (_, index) => store.set(write(`k${index}`, String(index)), call)));
    assert.equal((await sessions(name)).open, 3);
    assert.equal(await textOf(store, "k199"), "199");
  });

  it("refuses what more than the queue would have to hold", async () => {
    const name = await place();
    const store = await open(name, { maxConns: "2", ...patient });
    const unlock = await lockTable(name);
    const messages: string[] = [];
    const calls = Array.from({ length: 2 + QUEUE_MAX + 10 }, (_, index) =>
      store.get(`k${index}`, read, call).catch((error: Error) => messages.push(error.message)),
    );
    await eventually(async () => assert.ok(messages.length > 0));
    await unlock();
    await Promise.all(calls);
    assert.deepEqual([...new Set(messages)], [`${product} is too slow: ${QUEUE_MAX} calls wait for a connection`]);
    assert.ok(messages.length >= 10, `${messages.length} were refused`);
  });
}
