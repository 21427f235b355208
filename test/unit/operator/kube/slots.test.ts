import assert from "node:assert/strict";
import { Slots } from "#operator/kube/slots.ts";
import { settle } from "../../sidecar/resiliency/manual-clock.ts";

const never = new AbortController().signal;

describe("slots", () => {
  it("lets the others in by their order, each when one is handed back", async () => {
    const slots = new Slots({ most: 2, waitingMax: 10 });
    const releases = [await slots.take(never), await slots.take(never)];
    const entered: string[] = [];
    for (const name of ["a", "b"]) slots.take(never).then(() => entered.push(name));
    await settle();
    assert.deepEqual([entered, slots.waiting], [[], 2]);
    releases[0]?.();
    releases[0]?.();
    await settle();
    assert.deepEqual(entered, ["a"]);
    releases[1]?.();
    await settle();
    assert.deepEqual([entered, slots.waiting], [["a", "b"], 0]);
  });

  it("lets one who gave up leave the line, and refuses when too many wait", async () => {
    const slots = new Slots({ most: 1, waitingMax: 1 });
    const release = await slots.take(never);
    const abort = new AbortController();
    const waiting = slots.take(abort.signal);
    await assert.rejects(slots.take(never), RangeError);
    abort.abort(new Error("gave up"));
    await assert.rejects(waiting, /gave up/);
    await assert.rejects(slots.take(abort.signal), /gave up/);
    release();
    (await slots.take(never))();
    assert.equal(slots.waiting, 0);
  });
});
