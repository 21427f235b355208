// Probes: what they write into an entry, and that a transition is told once.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { HealthProbe } from "#sidecar/components/health-probe.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { StoreEntry } from "#sidecar/state/table.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";
import { Bench } from "./bench.ts";

const bench = new Bench();

/** An entry whose store answers a ping as `ping` says. */
async function entryWith(ping: () => Promise<void>): Promise<StoreEntry> {
  const signal = new AbortController().signal;
  const { log, component, appId } = { log: bench.log(), component: "one", appId: "app" };
  const inner = await driver
    .decode([], [])
    .open({ component, appId, clock: systemClock, random: systemRandom, log, signal });
  const store = Object.assign(inner, { ping });
  return new StoreEntry({
    name: "one",
    type: "state.test",
    version: "v1",
    keyPrefix: "",
    core: PLAIN_CORE,
    store,
    openedAtMs: 1,
  });
}

describe("a health probe", () => {
  beforeEach(() => {
    bench.lines.length = 0;
  });

  it("marks a store down and up again, and tells each once", async () => {
    let failure: Error | null = null;
    const entry = await entryWith(() => (failure === null ? Promise.resolve() : Promise.reject(failure)));
    const ups: boolean[] = [];
    const metrics = { ...noMetrics, storeUp: (_name: string, up: boolean) => ups.push(up) };
    const probe = new HealthProbe({ clock: systemClock, log: bench.log(), metrics, entries: () => [entry] });

    await probe.probeAll();
    assert.deepEqual(entry.health, { up: true, sinceMs: 1 });
    failure = new StoreError("unavailable", "no route");
    await probe.probeAll();
    const down = entry.health;
    await probe.probeAll();
    assert.deepEqual(entry.health, down);
    assert.equal(down.up, false);
    assert.equal(down.up ? "" : down.message, "no route");
    failure = new Error("password hunter2 refused");
    await probe.probeAll();
    assert.doesNotMatch(JSON.stringify(entry.health), /hunter2/);
    failure = null;
    await probe.probeAll();
    assert.equal(entry.health.up, true);
    assert.deepEqual(ups, [true, false, false, false, true]);
    assert.equal(bench.lines.filter((line) => line.includes("does not answer")).length, 1);
    assert.equal(bench.lines.filter((line) => line.includes("answers again")).length, 1);
    await probe.close();
    await entry.store.close();
  });

  for (const [how, outcome] of [
    ["answers", () => Promise.resolve()],
    ["fails", () => Promise.reject(new StoreError("closed", "the store was closed"))],
  ] as const) {
    it(`says nothing about a store that was swapped out while it was asked and then ${how}`, async () => {
      const serving: StoreEntry[] = [];
      const entry = await entryWith(() => {
        serving.length = 0;
        return outcome();
      });
      serving.push(entry);
      const ups: boolean[] = [];
      const metrics = { ...noMetrics, storeUp: (_name: string, up: boolean) => ups.push(up) };
      const probe = new HealthProbe({ clock: systemClock, log: bench.log(), metrics, entries: () => serving });
      await probe.probeAll();
      assert.deepEqual(ups, []);
      assert.deepEqual(bench.lines, []);
      assert.deepEqual(entry.health, { up: true, sinceMs: 1 });
      await probe.close();
      await entry.store.close();
    });
  }
});
