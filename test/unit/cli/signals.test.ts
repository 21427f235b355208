import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { onSignals } from "#cli/signals.ts";

const LONGER_THAN_AN_ECHO_MS = 600;

describe("signals", () => {
  let heard: string[];
  let release: () => void;
  beforeEach(() => {
    heard = [];
    release = onSignals({
      stop: (signal) => heard.push(`stop ${signal}`),
      hurry: (signal) => heard.push(`hurry ${signal}`),
      hangUp: () => heard.push("hang up"),
    });
  });
  afterEach(() => release());

  it("tells the first from the next", () => {
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGTERM", "SIGTERM");
    assert.deepEqual(heard, ["stop SIGINT", "hurry SIGTERM"]);
  });

  it("takes the echo of a signal, as npm sends it, for the same wish", async () => {
    process.emit("SIGINT", "SIGINT");
    process.emit("SIGINT", "SIGINT");
    assert.deepEqual(heard, ["stop SIGINT"]);
    await delay(LONGER_THAN_AN_ECHO_MS);
    process.emit("SIGINT", "SIGINT");
    assert.deepEqual(heard, ["stop SIGINT", "hurry SIGINT"]);
  });

  it("keeps SIGHUP apart", () => {
    process.emit("SIGHUP", "SIGHUP");
    process.emit("SIGTERM", "SIGTERM");
    assert.deepEqual(heard, ["hang up", "stop SIGTERM"]);
  });

  it("leaves nothing behind", () => {
    release();
    for (const signal of ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"] as const)
      assert.equal(process.listenerCount(signal), 0);
  });
});
