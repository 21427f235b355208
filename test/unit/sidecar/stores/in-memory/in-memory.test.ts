import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { systemRandom } from "#kit/random.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import type { Found } from "#sidecar/stores/store.ts";

describe("the in-memory store", () => {
  it("gives the memory of expired values back, although nobody asks for them", async () => {
    let nowMs = 0;
    let sweep: () => void = () => undefined;
    const clock = {
      nowMs: () => nowMs,
      monotonicMs: () => nowMs,
      after: (_delayMs: number, task: () => void) => {
        sweep = task;
        return { cancel: () => undefined };
      },
    };
    const ignore = (): void => undefined;
    const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore, scoped: () => log };
    const signal = new AbortController().signal;
    const store = await driver
      .decode([], [])
      .open({ component: "m", appId: "a", clock, random: systemRandom, log, signal });
    const write = { isJson: true, etag: null, firstWrite: false, strong: false, metadata: {} };
    const bytes = Buffer.from("1");
    await store.set({ ...write, key: "short", bytes, ttlSec: 1 }, { signal });
    await store.set({ ...write, key: "long", bytes, ttlSec: 100 }, { signal });
    const rows = await weakly(
      ["short", "long"].map((key) => store.get(key, { strong: false, metadata: {} }, { signal })),
    );
    nowMs = 1500;
    sweep();
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    assert.deepEqual(
      rows.map((row) => row.deref() === undefined),
      [true, false],
    );
    await store.close();
  });
});

/** Holds what is found so that only the store keeps it alive. */
async function weakly(reads: readonly Promise<Found | null>[]): Promise<WeakRef<Found>[]> {
  const found = await Promise.all(reads);
  return found.flatMap((each) => (each === null ? [] : [new WeakRef(each)]));
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  assert.ok(typeof collect === "function");
  collect();
}
