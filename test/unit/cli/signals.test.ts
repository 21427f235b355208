import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { holdSignals, type SignalActions, type Signals } from "#cli/signals.ts";

const LONGER_THAN_AN_ECHO_MS = 600;

describe("signals", () => {
  let heard: string[];
  let raised: string[];
  let signals: Signals;
  const actions: SignalActions = {
    stop: (signal) => heard.push(`stop ${signal}`),
    hurry: (signal) => heard.push(`hurry ${signal}`),
    hangUp: () => heard.push("hang up"),
  };
  beforeEach(() => {
    heard = [];
    raised = [];
    signals = holdSignals((signal) => raised.push(signal));
  });
  afterEach(() => signals.release());

  it("tells the first from the next", () => {
    signals.take(actions);
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGTERM", "SIGTERM");
    assert.deepEqual(heard, ["stop SIGINT", "hurry SIGTERM"]);
  });

  it("takes the echo of a signal, as npm sends it, for the same wish", async () => {
    signals.take(actions);
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGINT", "SIGINT");
    assert.deepEqual(heard, ["stop SIGINT"]);
    await delay(LONGER_THAN_AN_ECHO_MS);
    process.emit("SIGINT", "SIGINT");
    assert.deepEqual(heard, ["stop SIGINT", "hurry SIGINT"]);
  });

  it("keeps SIGHUP apart", () => {
    signals.take(actions);
    process.emit("SIGHUP", "SIGHUP");
    process.emit("SIGTERM", "SIGTERM");
    assert.deepEqual(heard, ["hang up", "stop SIGTERM"]);
  });

  it("are held until somebody takes them, each wish once", () => {
    for (const signal of ["SIGHUP", "SIGHUP", "SIGTERM", "SIGTERM", "SIGINT", "SIGQUIT"] as const)
      process.emit(signal, signal);
    assert.deepEqual(heard, []);
    signals.take(actions);
    assert.deepEqual(heard, ["hang up", "stop SIGTERM", "hurry SIGINT"]);
    process.emit("SIGHUP", "SIGHUP");
    assert.equal(heard.at(-1), "hang up");
  });

  it("come again when they are released and nobody took them", async () => {
    process.emit("SIGTERM", "SIGTERM");
    await signals.release();
    assert.deepEqual(raised, ["SIGTERM"]);
    await signals.release();
    assert.equal(raised.length, 1);
  });

  it("come again when they came in the very turn of the release", async () => {
    process.kill(process.pid, "SIGHUP");
    await signals.release();
    assert.deepEqual(raised, ["SIGHUP"]);
  });

  it("do not come again when somebody took them", async () => {
    process.emit("SIGTERM", "SIGTERM");
    signals.take(actions);
    await signals.release();
    assert.deepEqual(raised, []);
  });

  it("leave nothing behind", async () => {
    await signals.release();
    for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"] as const)
      assert.equal(process.listenerCount(signal), 0);
  });
});
