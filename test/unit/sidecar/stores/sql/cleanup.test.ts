// When expired rows are removed: from turn to turn, whatever one of them comes to, until the store is closed.
import assert from "node:assert/strict";
import { Cleanup } from "#sidecar/stores/sql/cleanup.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { at, type ListeningLog, listeningLog } from "./fixture.ts";

interface Turn extends PromiseWithResolvers<void> {
  readonly signal: AbortSignal;
}

function start(intervalMs: number): { cleanup: Cleanup; clock: ManualClock; log: ListeningLog; turns: Turn[] } {
  const clock = new ManualClock();
  const log = listeningLog();
  const turns: Turn[] = [];
  const turn = (signal: AbortSignal): Promise<void> => {
    const made = { ...Promise.withResolvers<void>(), signal };
    turns.push(made);
    return made.promise;
  };
  return { cleanup: new Cleanup({ intervalMs, turn, clock, log }), clock, log, turns };
}

describe("the cleanup of SQL tables", () => {
  it("takes a turn after each interval, which begins when the turn before has ended", async () => {
    const { clock, turns } = start(1000);
    await clock.advance(999);
    assert.equal(turns.length, 0);
    await clock.advance(5000);
    assert.equal(turns.length, 1);
    at(turns, 0).resolve();
    await clock.advance(999);
    assert.equal(turns.length, 1);
    await clock.advance(1);
    assert.equal(turns.length, 2);
  });

  it("warns of a turn that failed, and takes the next", async () => {
    const { clock, log, turns } = start(1000);
    await clock.advance(1000);
    at(turns, 0).reject(new Error("no rights"));
    await clock.advance(1000);
    assert.deepEqual(log.lines, ['warn cleanup of expired rows failed {"cause":"Error: no rights"}']);
    assert.equal(turns.length, 2);
  });

  it("calls its turn off when the store is closed, without a word, and takes no other", async () => {
    const { cleanup, clock, log, turns } = start(1000);
    await clock.advance(1000);
    cleanup.close();
    assert.equal(at(turns, 0).signal.aborted, true);
    at(turns, 0).reject(new Error("closed"));
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
