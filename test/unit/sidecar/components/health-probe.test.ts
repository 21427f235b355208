// Probes: what they write into an entry, and that a transition is told once.
import assert from "node:assert/strict";
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { HealthProbe } from "#sidecar/components/health-probe.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import { StoreEntry } from "#sidecar/state/table.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { Bench } from "./bench.ts";

describe("a health probe", () => {
  it("marks a store down and up again, and tells each once", async () => {
    const bench = new Bench();
    const signal = new AbortController().signal;
    const context = {
      component: "one",
      appId: "app",
      clock: systemClock,
      random: systemRandom,
      log: bench.log(),
      signal,
    };
    const inner = await driver.decode([], []).open(context);
    let failure: Error | null = null;
    const store = Object.assign(inner, {
      ping: () => (failure === null ? Promise.resolve() : Promise.reject(failure)),
    });
    const entry = new StoreEntry({
      name: "one",
      type: "state.test",
      version: "v1",
      keyPrefix: "",
      store,
      openedAtMs: 1,
    });
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
    await store.close();
  });
});
