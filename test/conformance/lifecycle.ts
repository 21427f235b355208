// Conformance: a store's life. Opening, closing, leaving: whatever the moment, a call ends, and with an error of the
// contract; a closed store leaves no connection and no thread behind.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import type { Worker } from "node:worker_threads";
import { StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { eventually, expectMissing, expectValue, mustFind, outcomeOf, settles } from "./checks.ts";
import { assertCodes, assertRejected, assertTruth, type Operation, operations, outcomes } from "./operations.ts";
import { call, json, READ, write } from "./requests.ts";
import { isDurable, not } from "./subject.ts";
import { isDriver } from "./surface.ts";

const IN_FLIGHT = 20;

/** A client that leaves: the driver may finish all the same, or say that it stopped. */
const LEFT_CODES: readonly StoreErrorCode[] = ["timeout", "unknown-outcome", "unavailable"];
/** For calls under way when the store is closed: a write that was sent may not claim that nothing happened. */
const CLOSING_CODES: readonly StoreErrorCode[] = ["closed", "unknown-outcome"];

/** Many operations of each kind, each on keys of its own. */
function manyOperations(context: Context, store: Parameters<typeof operations>[0]): readonly Operation[] {
  const turns = Array.from({ length: IN_FLIGHT }, (_, turn) => turn);
  return turns.flatMap((turn) => operations(store, (name) => context.key(`${turn}-${name}`)));
}

const liveWorkers = new Set<Worker>();
process.on("worker", (worker) => {
  liveWorkers.add(worker);
  worker.once("exit", () => liveWorkers.delete(worker));
});

/** Sockets and threads of this process. Timers do not count: they are the test runner's as well. */
function held(): number {
  const sockets = process.getActiveResourcesInfo().filter((kind) => /TCP|TLS|Pipe/.test(kind));
  return sockets.length + liveWorkers.size;
}

function opensNothing({ patienceMs }: Context, before: number): Promise<void> {
  return eventually("connections and threads are gone", patienceMs, async () => held() <= before);
}

const opening: readonly Case[] = [
  caseFor(isDriver, "answers a ping when it is open", ({ store, patienceMs }) =>
    settles(store.ping(call()), patienceMs, "ping"),
  ),

  caseFor(isDriver, "rejects an open whose time is already up, and leaves nothing behind", async (context) => {
    const before = held();
    const error = await outcomeOf(settles(context.openWith(AbortSignal.abort()), context.patienceMs, "open"));
    assert.ok(error !== null, "the open succeeded although its signal had aborted");
    await opensNothing(context, before);
  }),

  caseFor(
    isDriver,
    "opens or rejects when the time is up in the middle, and leaves nothing behind",
    async (context) => {
      const before = held();
      const controller = new AbortController();
      const opened = context.openWith(controller.signal);
      controller.abort();
      const store = await settles(opened.catch(rejected), context.patienceMs, "open");
      if (!(store instanceof StoreError)) await store.close();
      await opensNothing(context, before);
    },
  ),

  caseFor(isDriver, "is not closed by the signal of its opening", async ({ openWith, key }) => {
    const controller = new AbortController();
    const store = await openWith(controller.signal);
    controller.abort();
    await store.set(write(key("value"), json(1)), call());
    await expectValue(store, key("value"), json(1));
  }),

  caseFor(isDurable, "sees at once what another store on the same settings writes", async ({ store, open, key }) => {
    const other = await open();
    await store.set(write(key("value"), json("first")), call());
    await expectValue(other, key("value"), json("first"));
    const { etag } = await mustFind(other, key("value"));
    await other.set(write(key("value"), json("second"), { etag }), call());
    await expectValue(store, key("value"), json("second"));
  }),

  caseFor(isDurable, "has its data again after close and open", async ({ open, key }) => {
    const first = await open();
    await first.set(write(key("value"), json("stays")), call());
    const before = await mustFind(first, key("value"));
    await first.close();
    const found = await mustFind(await open(), key("value"));
    assert.deepEqual([Buffer.from(found.bytes).toString(), found.etag], ['"stays"', before.etag]);
  }),

  caseFor(not(isDurable), "has no data after close and open, as it declares", async ({ open, key }) => {
    const first = await open();
    await first.set(write(key("value"), json("goes")), call());
    await first.close();
    await expectMissing(await open(), key("value"));
  }),
];

const leaving: readonly Case[] = [
  caseFor(
    isDriver,
    "ends every call whose client has already left, and says the truth about writes",
    async (context) => {
      const { store, key } = context;
      const ends = await outcomes(operations(store, key, { signal: AbortSignal.abort() }), context.patienceMs);
      assertCodes(ends, LEFT_CODES);
      await assertTruth(store, ends);
    },
  ),

  caseFor(null, "ends every call whose client leaves in the middle, and goes on serving", async (context) => {
    const { store, key } = context;
    const controller = new AbortController();
    const running = outcomes(operations(store, key, { signal: controller.signal }), context.patienceMs);
    controller.abort();
    const ends = await running;
    assertCodes(ends, LEFT_CODES);
    await assertTruth(store, ends);
    await store.set(write(key("after"), json(1)), call());
    await expectValue(store, key("after"), json(1));
  }),

  caseFor(isDriver, "leaves no listener on a call's signal", async ({ store, key }) => {
    const { signal } = new AbortController();
    for (const operation of operations(store, key, { signal })) {
      await operation.run();
      assert.equal(getEventListeners(signal, "abort").length, 0, `${operation.name} left a listener`);
    }
  }),
];

const closing: readonly Case[] = [
  caseFor(isDriver, "rejects every operation with closed after close", async ({ open, key, patienceMs }) => {
    const store = await open();
    await store.close();
    assertRejected(await outcomes(operations(store, key), patienceMs), ["closed"]);
  }),

  caseFor(isDriver, "serves or rejects with closed what comes while it closes", async (context) => {
    const store = await context.open();
    await store.set(write(context.key("any"), json(1)), call());
    const closed = store.close();
    const ends = await outcomes(operations(store, context.key), context.patienceMs);
    await settles(closed, context.patienceMs, "close");
    assertCodes(ends, ["closed"]);
    if (isDurable(context.subject)) await assertTruth(context.store, ends);
  }),

  caseFor(isDriver, "ends every call that is under way at close, and says the truth about writes", async (context) => {
    const store = await context.open();
    const running = outcomes(manyOperations(context, store), context.patienceMs);
    await settles(store.close(), context.patienceMs, "close");
    const ends = await running;
    assertCodes(
      ends.filter(({ operation }) => operation.creates !== null || operation.name.startsWith("remove")),
      CLOSING_CODES,
    );
    assertCodes(
      ends.filter(({ operation }) => operation.creates === null && !operation.name.startsWith("remove")),
      ["closed"],
    );
    if (isDurable(context.subject)) await assertTruth(context.store, ends);
  }),

  caseFor(isDriver, "can be closed twice, one after the other and at once", async ({ open, patienceMs }) => {
    const store = await open();
    await settles(Promise.all([store.close(), store.close()]), patienceMs, "close");
    await settles(store.close(), patienceMs, "another close");
  }),

  caseFor(null, "leaves no connection and no thread after close", async (context) => {
    const { open, key } = context;
    const before = held();
    const store = await open();
    await store.set(write(key("value"), json(1)), call());
    await store.get(key("value"), READ, call());
    await store.close();
    await opensNothing(context, before);
  }),

  caseFor(null, "disturbs no other store by its close", async ({ store, open, key }) => {
    const other = await open();
    await store.set(write(key("value"), json(1)), call());
    await other.close();
    await expectValue(store, key("value"), json(1));
  }),
];

/** The rejection as a value; anything but a StoreError fails the case. */
function rejected(error: unknown): StoreError {
  assert.ok(error instanceof StoreError, `not a StoreError: ${error}`);
  return error;
}

export const lifecycle: Chapter = { name: "lifecycle", cases: [...opening, ...leaving, ...closing] };
