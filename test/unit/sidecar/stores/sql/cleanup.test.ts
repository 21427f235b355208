// When expired rows are removed: from turn to turn, whatever one of them comes to, until the store is closed.
import assert from "node:assert/strict";
import { Cleanup } from "#sidecar/stores/sql/cleanup.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { at, type ListeningLog, listeningLog } from "./fixture.ts";

const ROWS_MAX = 100;

interface Step extends PromiseWithResolvers<number> {
  readonly signal: AbortSignal;
}

interface Test {
  readonly cleanup: Cleanup;
  readonly clock: ManualClock;
  readonly log: ListeningLog;
  /** Every removal that was asked for; the test says when it ends, and with how many rows. */
  readonly removals: readonly Step[];
  /** Whether the next removals are this sidecar's. */
  readonly mine: { now: boolean };
}

function start(intervalMs: number): Test {
  const clock = new ManualClock();
  const log = listeningLog();
  const removals: Step[] = [];
  const mine = { now: true };
  const remove = (signal: AbortSignal): Promise<number> => {
    const made = { ...Promise.withResolvers<number>(), signal };
    removals.push(made);
    return made.promise;
  };
  const steps = { claim: async () => mine.now, remove, rowsMax: ROWS_MAX };
  return { cleanup: new Cleanup({ intervalMs, steps, clock, log }), clock, log, removals, mine };
}

describe("the cleanup of SQL tables", () => {
  it("takes a turn after each interval, which begins when the turn before has ended", async () => {
    const { clock, removals } = start(1000);
    await clock.advance(999);
    assert.equal(removals.length, 0);
    await clock.advance(5000);
    assert.equal(removals.length, 1);
    at(removals, 0).resolve(3);
    await clock.advance(999);
    assert.equal(removals.length, 1);
    await clock.advance(1);
    assert.equal(removals.length, 2);
  });

  it("removes step by step until there is less than a step can take", async () => {
    const { clock, removals } = start(1000);
    await clock.advance(1000);
    at(removals, 0).resolve(ROWS_MAX);
    await settle();
    at(removals, 1).resolve(ROWS_MAX);
    await settle();
    at(removals, 2).resolve(ROWS_MAX - 1);
    await settle();
    assert.equal(removals.length, 3);
    await clock.advance(1000);
    assert.equal(removals.length, 4);
  });

  it("leaves the rows to another sidecar that has cleaned up, and asks again after the interval", async () => {
    const { clock, removals, mine } = start(1000);
    mine.now = false;
    await clock.advance(1000);
    assert.equal(removals.length, 0);
    mine.now = true;
    await clock.advance(1000);
    assert.equal(removals.length, 1);
  });

  it("warns of a turn that failed, and takes the next", async () => {
    const { clock, log, removals } = start(1000);
    await clock.advance(1000);
    at(removals, 0).reject(new Error("no rights"));
    await clock.advance(1000);
    assert.deepEqual(log.lines, ['warn cleanup of expired rows failed {"cause":"Error: no rights"}']);
    assert.equal(removals.length, 2);
  });

  it("calls its turn off when the store is closed, without a word, and takes no other", async () => {
    const { cleanup, clock, log, removals } = start(1000);
    await clock.advance(1000);
    cleanup.close();
    assert.equal(at(removals, 0).signal.aborted, true);
    at(removals, 0).reject(new Error("closed"));
    await settle();
    assert.deepEqual(log.lines, []);
    assert.equal(clock.timers, 0);
  });

  it("takes no turn after the store is closed", async () => {
    const { cleanup, clock } = start(1000);
    cleanup.close();
    assert.equal(clock.timers, 0);
  });

  it("never takes one at an interval of zero or less", () => {
    assert.equal(start(0).clock.timers, 0);
    assert.equal(start(-1).clock.timers, 0);
  });
});
