import assert from "node:assert/strict";
import { Room } from "#operator/webhook/room.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";

describe("room for reviews", () => {
  it("goes to those who wait in their order, and none to those who come when too many wait", async () => {
    const room = new Room({ places: 2, waitingMax: 2, waitMs: 100, clock: new ManualClock() });
    const entered: number[] = [];
    const enter = (who: number): void => {
      void room.enter().then((has) => entered.push(has ? who : -who));
    };
    for (const who of [1, 2, 3, 4, 5]) enter(who);
    await settle();
    assert.deepEqual(entered, [1, 2, -5]);
    room.leave();
    room.leave();
    await settle();
    assert.deepEqual(entered, [1, 2, -5, 3, 4]);
    room.leave();
    room.leave();
    enter(6);
    await settle();
    assert.equal(entered.at(-1), 6);
  });

  it("is waited for only so long, and who has given up takes no place", async () => {
    const clock = new ManualClock();
    const room = new Room({ places: 1, waitingMax: 2, waitMs: 100, clock });
    await room.enter();
    const late = room.enter();
    await clock.advance(100);
    assert.equal(await late, false);
    room.leave();
    assert.equal(await room.enter(), true);
    assert.equal(clock.timers, 0);
  });
});
