// What the client library says of a request, as an error of the store: what may have been written is not called unwritten.
import assert from "node:assert/strict";
import { errors } from "@nats-io/transport-node";
import { apiError, requestError } from "#sidecar/stores/jetstream/failures.ts";

const violation = (operation: "publish" | "subscription"): Error =>
  new errors.PermissionViolationError("no", operation, "_INBOX.a.*");

describe("a request to NATS that fails", () => {
  for (const [what, cause, write, read] of [
    ["with nobody to answer", new errors.NoRespondersError("s"), "unavailable", "unavailable"],
    ["without an answer in time", new errors.TimeoutError(), "timeout", "timeout"],
    ["for want of the right to publish", violation("publish"), "unavailable", "unavailable"],
    ["for want of the right to read answers", violation("subscription"), "unknown-outcome", "unavailable"],
    ["because it is too large", errors.InvalidArgumentError.format("payload", "too large"), "refused", "refused"],
    ["before it is sent", new errors.ClosedConnectionError(), "unavailable", "unavailable"],
    ["when the connection ends", new errors.RequestError("connection closed"), "unknown-outcome", "unavailable"],
    ["with what is not known", new Error("?"), "unknown-outcome", "unavailable"],
  ] as const) {
    it(`${what} is told as what it is`, () => {
      const wrapped = new errors.RequestError("failed", { cause });
      for (const error of [cause, wrapped]) {
        const [ours, theirs] = [true, false].map((isWrite) => requestError(error, { server: "nats:4222", isWrite }));
        assert.deepEqual([ours?.code, theirs?.code], [write, read]);
        for (const { message } of [ours, theirs].filter((each) => each !== undefined))
          assert.match(message, /nats:4222/);
        const isDoubtful = write === "unknown-outcome" || write === "timeout";
        assert.equal(/the write may have happened/.test(ours?.message ?? ""), isDoubtful);
        assert.equal(ours?.repeatable === true && isDoubtful, false);
      }
    });
  }
});

describe("an answer of JetStream that there is no room", () => {
  for (const [errCode, says] of [
    [10_002, "has used up what this account may keep"],
    [10_023, "has too few resources"],
    [10_028, "has used up its memory"],
    [10_047, "has used up its disk"],
    [10_077, "has no room in the bucket: raise its size, or delete"],
  ] as const) {
    it(`is told for ${errCode} as what it is`, () => {
      const { code, message, repeatable } = apiError(errCode, "nats:4222");
      assert.deepEqual([code, message, repeatable], ["unavailable", `NATS at nats:4222 ${says}`, false]);
    });
  }
});
