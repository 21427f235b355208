// One slot by itself: an attempt that is superseded at the very moment in which its store is open.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { Gate } from "#sidecar/components/gate.ts";
import type { WantedStore } from "#sidecar/components/opening.ts";
import { Retirement } from "#sidecar/components/retirement.ts";
import { StoreSlot } from "#sidecar/components/slot.ts";
import { noMetrics } from "#sidecar/metrics.ts";
import type { StoreEntry } from "#sidecar/state/table.ts";
import { driver } from "#sidecar/stores/in-memory/in-memory.ts";
import { PLAIN_CORE } from "#test/unit/sidecar/core.ts";
import { Bench } from "./bench.ts";

describe("a slot", () => {
  it("closes a store whose attempt was superseded when it was open already, and does not serve it", async () => {
    const log = new Bench().log();
    let superseded = (): void => undefined;
    // The deadline's timer is cancelled between the end of the opening and the moment in which the slot takes the store.
    const clock: Clock = {
      ...systemClock,
      after: (delayMs, task) => {
        const timer = systemClock.after(delayMs, task);
        const cancel = (): void => {
          timer.cancel();
          superseded();
        };
        return { cancel };
      },
    };
    const retirement = new Retirement({ clock: systemClock, log, drainMs: 0 });
    const table = new Map<string, StoreEntry>();
    const gate = new Gate(1);
    const context = { appId: "app", clock, random: systemRandom, log, metrics: noMetrics, gate, retirement, table };
    const slot = new StoreSlot("one", context, true);
    superseded = () => slot.remove();

    let closed = 0;
    const prepared = driver.decode([], []);
    const wanted: WantedStore = {
      name: "one",
      type: "state.in-memory",
      version: "v1",
      keyPrefix: "",
      core: PLAIN_CORE,
      ignoreErrors: false,
      initTimeoutMs: 5000,
      prepared: {
        ...prepared,
        open: async (opening) => {
          const store = await prepared.open(opening);
          const close = store.close.bind(store);
          return Object.assign(store, { close: () => close().then(() => void closed++) });
        },
      },
      fingerprint: "1",
      coreFingerprint: "1",
      secrets: [],
      warnings: [],
    };
    assert.equal(await slot.want(wanted), null);
    assert.equal(closed, 1);
    assert.equal(table.size, 0);
  });
});
