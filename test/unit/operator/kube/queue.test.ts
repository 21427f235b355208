import assert from "node:assert/strict";
import { DRAIN_MAX_MS, WorkQueue } from "#operator/kube/queue.ts";
import { settle } from "../../sidecar/resiliency/manual-clock.ts";
import { type TestContext, testContext } from "./scripted-client.ts";

describe("work queue", () => {
  let context: TestContext;
  let queue: WorkQueue;
  let begun: string[];
  /** Of the workers under way, in order; each ends one. */
  let ends: PromiseWithResolvers<void>[];
  let depths: number[];

  function open(workers: number): void {
    context = testContext(() => null);
    begun = [];
    ends = [];
    depths = [];
    queue = new WorkQueue({
      ...context,
      metrics: { ...context.metrics, queueDepth: (_name, depth) => depths.push(depth) },
      name: "test",
      workers,
      worker: (key) => {
        begun.push(key);
        const end = Promise.withResolvers<void>();
        ends.push(end);
        return end.promise;
      },
    });
  }

  async function finish(nth: number, error?: Error): Promise<void> {
    if (error === undefined) ends[nth]?.resolve();
    else ends[nth]?.reject(error);
    await settle();
  }

  it("works on so many keys at once and on the others in their order", async () => {
    open(2);
    for (const key of ["a", "b", "c", "d"]) queue.add(key);
    assert.deepEqual([begun, queue.depth], [["a", "b"], 2]);
    await finish(1);
    await finish(0);
    assert.deepEqual([begun, queue.depth], [["a", "b", "c", "d"], 0]);
    assert.equal(Math.max(...depths), 2);
  });

  it("holds a waiting key once and in its place", async () => {
    open(1);
    for (const key of ["a", "b", "c", "b", "b"]) queue.add(key);
    await finish(0);
    await finish(1);
    await finish(2);
    assert.deepEqual(begun, ["a", "b", "c"]);
  });

  it("never works twice on one key at a time, and once more when it was added meanwhile", async () => {
    open(4);
    queue.add("a");
    queue.add("a");
    queue.add("a");
    assert.deepEqual(begun, ["a"]);
    await finish(0);
    assert.deepEqual(begun, ["a", "a"]);
    await finish(1);
    assert.deepEqual([begun.length, queue.depth], [2, 0]);
  });

  it("brings a key back whose worker rejected, later each time, until it resolves", async () => {
    open(1);
    queue.add("a");
    for (const [nth, waitMs] of [75, 150, 300].entries()) {
      await finish(nth, new Error("not yet"));
      await context.clock.advance(waitMs - 1);
      assert.equal(begun.length, nth + 1);
      await context.clock.advance(1);
      assert.equal(begun.length, nth + 2);
    }
    await finish(3);
    queue.add("a");
    await finish(4, new Error("again"));
    await context.clock.advance(75);
    assert.equal(begun.length, 6);
    assert.equal(context.lines.filter((line) => line.includes("not yet")).length, 3);
  });

  it("does not keep a failing key from its neighbours", async () => {
    open(1);
    queue.add("bad");
    queue.add("good");
    await finish(0, new Error("no"));
    assert.deepEqual(begun, ["bad", "good"]);
  });

  it("brings a key after a time, the earliest of several", async () => {
    open(1);
    queue.addAfter("a", 500);
    queue.addAfter("a", 200);
    queue.addAfter("a", 900);
    await context.clock.advance(200);
    assert.deepEqual(begun, ["a"]);
    await finish(0);
    await context.clock.advance(10_000);
    assert.deepEqual(begun, ["a"]);
  });

  it("takes a key that was planned for later at once when it is added", async () => {
    open(1);
    queue.addAfter("a", 500);
    queue.add("a");
    await finish(0);
    await context.clock.advance(10_000);
    assert.deepEqual(begun, ["a"]);
  });

  it("finishes what waits when it is closed, drops what is for later and takes nothing more", async () => {
    open(1);
    queue.add("a");
    queue.add("b");
    queue.addAfter("later", 10);
    let isClosed = false;
    const closing = queue.close().then(() => {
      isClosed = true;
    });
    queue.add("late");
    queue.addAfter("late", 1);
    await finish(0, new Error("no"));
    assert.equal(isClosed, false);
    await finish(1);
    await closing;
    await context.clock.advance(10_000);
    assert.deepEqual(begun, ["a", "b"]);
    assert.equal(context.clock.timers, 0);
  });

  it("does not wait for ever for a worker that hangs", async () => {
    open(1);
    queue.add("a");
    queue.add("b");
    const closing = queue.close();
    await context.clock.advance(DRAIN_MAX_MS);
    await closing;
    await finish(0);
    assert.deepEqual(begun, ["a"]);
  });

  it("is closed at once when it has nothing to do", async () => {
    open(1);
    await queue.close();
    await queue.close();
    assert.equal(context.clock.timers, 0);
  });
});
