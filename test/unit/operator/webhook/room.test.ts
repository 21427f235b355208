import assert from "node:assert/strict";
import { Room } from "#operator/webhook/room.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";

describe("room for reviews", () => {
  it("goes to those who wait in their order, and none to those who come when too many wait", async () => {
    const room = new Room({ places: 2, placesEach: 2, waitingMax: 2, waitMs: 100, clock: new ManualClock() });
    const entered: number[] = [];
    const enter = (who: number): void => {
      void room.enter("a").then((has) => entered.push(has ? who : -who));
    };
    for (const who of [1, 2, 3, 4, 5]) enter(who);
    await settle();
    assert.deepEqual(entered, [1, 2, -5]);
    room.leave("a");
    room.leave("a");
    await settle();
    assert.deepEqual(entered, [1, 2, -5, 3, 4]);
    room.leave("a");
    room.leave("a");
    enter(6);
    await settle();
    assert.equal(entered.at(-1), 6);
  });

  it("is waited for only so long, and who has given up takes no place", async () => {
    const clock = new ManualClock();
    const room = new Room({ places: 1, placesEach: 1, waitingMax: 2, waitMs: 100, clock });
    await room.enter("a");
    const late = room.enter("a");
    await clock.advance(100);
    assert.equal(await late, false);
    room.leave("a");
    assert.equal(await room.enter("a"), true);
    assert.equal(clock.timers, 0);
  });

  it("gives a sender its share and no more, and what is free to who has least", async () => {
    const room = new Room({ places: 3, placesEach: 2, waitingMax: 4, waitMs: 100, clock: new ManualClock() });
    const entered: string[] = [];
    const enter = (sender: string): void => {
      void room.enter(sender).then((has) => entered.push(has ? sender : `no ${sender}`));
    };
    for (const sender of ["a", "a", "a", "b", "c", "a"]) enter(sender);
    await settle();
    assert.deepEqual(entered, ["a", "a", "b"]);
    room.leave("a");
    await settle();
    assert.deepEqual(entered.splice(0), ["a", "a", "b", "c"]);
    // Two of a wait; of five that wait the newest of who has the most gives way.
    for (const sender of ["a", "a", "d"]) enter(sender);
    await settle();
    assert.deepEqual(entered.splice(0), ["no a"]);
    enter("a");
    await settle();
    assert.deepEqual(entered.splice(0), ["no a"]);
    room.leave("b");
    await settle();
    assert.deepEqual(entered, ["d"]);
  });
});
