import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type AnswerStream, UnreadAnswers } from "#sidecar/grpc/unread.ts";
import { ManualClock } from "#test/unit/sidecar/resiliency/manual-clock.ts";

const LIMITS = { connectionBytesMax: 100_000, processBytesMax: 150_000 };

class PlainStream extends EventEmitter implements AnswerStream {
  readonly session: object;
  destroyed = false;
  readonly codes: number[] = [];

  constructor(session: object) {
    super();
    this.session = session;
  }

  close(code: number): void {
    this.codes.push(code);
    this.destroyed = true;
    this.emit("close");
  }
}

function opened() {
  const clock = new ManualClock();
  return { clock, unread: new UnreadAnswers(clock, LIMITS) };
}

describe("answers that were not taken", () => {
  it("have a limit for each connection and one for all", () => {
    const { unread } = opened();
    const [one, other] = [new PlainStream({}), new PlainStream({})];
    unread.hold(one, 90_000);
    assert.deepEqual([unread.hasRoom(one, 10_000), unread.hasRoom(one, 10_001)], [true, false]);
    assert.deepEqual([unread.hasRoom(other, 60_000), unread.hasRoom(other, 60_001)], [true, false]);
  });

  it("always have room for a small one, and for a large one that is alone", () => {
    const { unread } = opened();
    const stream = new PlainStream({});
    assert.equal(unread.hasRoom(stream, 200_000), true);
    unread.hold(stream, 200_000);
    assert.deepEqual([unread.hasRoom(stream, 4096), unread.hasRoom(stream, 4097)], [true, false]);
  });

  it("no longer count when their stream ends, or ended before", () => {
    const { unread } = opened();
    const stream = new PlainStream({});
    const hold = unread.hold(stream, 90_000);
    stream.close(0);
    unread.release(hold);
    unread.hold(stream, 90_000);
    assert.equal(unread.bytes, 0);
  });

  it("leave nothing behind on a stream that goes on", () => {
    const { unread } = opened();
    const stream = new PlainStream({});
    unread.release(unread.hold(stream, 10));
    assert.deepEqual([unread.bytes, stream.listenerCount("close")], [0, 0]);
  });

  it("end their stream when they were not taken in time, which begins when they are sent", async () => {
    const { clock, unread } = opened();
    const [sent, other] = [new PlainStream({}), new PlainStream({})];
    const hold = unread.hold(sent, 64 * 1024 * 10);
    unread.hold(other, 10);
    await clock.advance(100_000);
    unread.send(hold);
    await clock.advance(69_999);
    assert.deepEqual(sent.codes, []);
    await clock.advance(5_001);
    assert.deepEqual([sent.codes, other.codes, unread.bytes], [[8], [], 10]);
  });
});
