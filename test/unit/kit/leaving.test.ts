// Whoever leaves is not kept, and nothing is left on their signal.
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { unlessLeft } from "#kit/leaving.ts";

const LEFT = (): Error => new Error("left");

describe("waiting for somebody who may leave", () => {
  it("gives the promise's outcome to those who stay, and leaves no listener on their signal", async () => {
    const { signal } = new AbortController();
    assert.equal(await unlessLeft(Promise.resolve(1), signal, LEFT), 1);
    await assert.rejects(unlessLeft(Promise.reject(new Error("failed")), signal, LEFT), { message: "failed" });
    assert.deepEqual(getEventListeners(signal, "abort"), []);
  });

  it("rejects at once for those who leave, or have left, whatever becomes of the promise", async () => {
    const leaving = new AbortController();
    const { promise, reject } = Promise.withResolvers<never>();
    const waiting = unlessLeft(promise, leaving.signal, LEFT);
    leaving.abort();
    await assert.rejects(waiting, { message: "left" });
    await assert.rejects(unlessLeft(promise, leaving.signal, LEFT), { message: "left" });
    reject(new Error("nobody hears this"));
    await assert.rejects(promise);
  });
});
