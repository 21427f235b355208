import assert from "node:assert/strict";
import { type SessionTurns, type StreamTurn, StreamTurns } from "#sidecar/http/stream-turns.ts";

const MB = 1024 * 1024;

describe("turns of HTTP/2 streams", () => {
  let all: StreamTurns;
  let begun: StreamTurn[];

  beforeEach(() => {
    all = new StreamTurns();
    begun = [];
  });

  const take = (session: SessionTurns, count: number, bytes = 0): readonly StreamTurn[] =>
    Array.from({ length: count }, () => session.take(bytes, (turn) => begun.push(turn)));

  it("begins sixteen requests of a session, and one more for each that has its answer", () => {
    const turns = take(all.session(), 20);
    assert.deepEqual(begun, turns.slice(0, 16));
    begun[3]?.answer(10);
    assert.deepEqual(begun, turns.slice(0, 17));
    begun[4]?.end();
    begun[4]?.end();
    assert.deepEqual(begun, turns.slice(0, 18));
  });

  it("begins no request while answers of 16 MB are not taken", () => {
    const session = all.session();
    const [first] = take(session, 1);
    first?.answer(16 * MB);
    take(session, 1);
    assert.equal(begun.length, 1);
    first?.end();
    assert.equal(begun.length, 2);
  });

  it("counts the bodies that requests announce, each as what a session may hold at most", () => {
    const session = all.session();
    const turns = take(session, 3, 8 * MB);
    assert.equal(begun.length, 2);
    for (const turn of turns) turn.end();
    const [huge] = take(session, 2, 1e15);
    assert.equal(begun.at(-1), huge);
    huge?.end();
    assert.equal(begun.length, 5);
  });

  it("passes over a request that has left before its turn", () => {
    const turns = take(all.session(), 18);
    turns[16]?.end();
    turns[0]?.end();
    assert.equal(begun.at(-1), turns[17]);
    assert.equal(begun.length, 17);
  });

  it("leaves each session one request at a time when all hold 128 MB together, until there is room", () => {
    for (let i = 0; i < 8; i++) {
      const [turn] = take(all.session(), 1);
      turn?.answer(16 * MB);
    }
    assert.equal(begun.length, 8);
    const turns = take(all.session(), 3);
    assert.equal(begun.length, 9);
    turns[0]?.end();
    assert.equal(begun.length, 10);
    begun[0]?.end();
    assert.equal(begun.length, 11);
  });
});
