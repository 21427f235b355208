// Work over a connection beside the pool: the connection ends with it, whatever it comes to.
import assert from "node:assert/strict";
import { never } from "#kit/clock.ts";
import { overOnce } from "#sidecar/stores/sql/single-use.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";
import { at, connector, outcome, type TestSession } from "./fixture.ts";

async function connected(): Promise<TestSession> {
  const { attempts, connect } = connector(new ManualClock());
  const connecting = connect(never);
  await at(attempts, 0).succeed();
  return connecting;
}

describe("work over a SQL connection of its own", () => {
  it("gives what it gives, once the connection is gone", async () => {
    const session = await connected();
    session.stubborn = true;
    const running = outcome(overOnce(session, never, async ({ server }) => server));
    await settle();
    assert.deepEqual([running.now, session.heard], ["pending", ["close"]]);
    session.end();
    await settle();
    assert.equal(running.now, session.server);
  });

  it("ends the connection when it fails too", async () => {
    const session = await connected();
    const work = async (): Promise<never> => {
      throw new Error("no rights");
    };
    await assert.rejects(overOnce(session, never, work), { message: "no rights" });
    assert.deepEqual(session.heard, ["close"]);
  });

  it("lets go of the signal of the opening, which may abort later", async () => {
    const session = await connected();
    const opening = new AbortController();
    assert.equal(await overOnce(session, opening.signal, async ({ server }) => server), session.server);
    opening.abort();
    assert.deepEqual(session.heard, ["close"]);
  });

  it("is broken off when the opening is called off, and not begun after that", async () => {
    const session = await connected();
    const opening = new AbortController();
    const work = Promise.withResolvers<never>();
    const running = outcome(overOnce(session, opening.signal, () => work.promise));
    opening.abort();
    assert.deepEqual(session.heard, ["destroy closed"]);
    work.reject(new Error("the store was closed"));
    await settle();
    assert.equal(running.now, "the store was closed");
    const late = overOnce(await connected(), opening.signal, () => assert.fail("begun"));
    await assert.rejects(late, { code: "closed" });
  });
});
