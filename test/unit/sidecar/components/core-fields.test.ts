// The core's own fields: what a store must not be opened with.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { refusedFields } from "#sidecar/components/core-fields.ts";

describe("a field of the core", () => {
  const REFUSED = {
    outboxPublishPubsub: /messages would be lost/,
    outboxPublishTopic: /messages would be lost/,
    outboxPubsub: /messages would be lost/,
    outboxDiscardWhenMissingState: /messages would be lost/,
  };
  for (const [name, reason] of Object.entries(REFUSED)) {
    it(`is refused when it is ${name}, in any case and even empty, and its value is not shown`, () => {
      for (const [spelled, value] of [
        [name, "hunter2"],
        [name.toUpperCase(), ""],
      ] as const) {
        const faults = refusedFields([{ name: spelled, value, secret: false }]);
        assert.deepEqual(
          faults.map(({ severity, field, got }) => [severity, field, got]),
          [["error", name, null]],
        );
        assert.match(faults.map(describeFault).join(), reason);
      }
    });
  }

  it("is not refused when data are safe with it", () => {
    const names = ["keyPrefix", "actorStateStore", "primaryEncryptionKey", "redisHost"];
    assert.deepEqual(refusedFields(names.map((name) => ({ name, value: "x", secret: false }))), []);
  });
});
