import assert from "node:assert/strict";
import { createTokenCheck, isSendable } from "#sidecar/grpc/token.ts";

describe("the token of a gRPC call", () => {
  const passes = (token: string, given: string): boolean => {
    try {
      createTokenCheck(token)(new Map([["dapr-api-token", given]]));
      return true;
    } catch {
      // Why is tested over the wire.
      return false;
    }
  };

  it("may come several times, always the same", () => {
    const given = [
      "tok",
      "tok, tok",
      "tok, bad",
      "bad, tok",
      "tok, tok, tok",
      "tok,tok",
      "tok, ",
      Array(9).fill("tok").join(", "),
    ];
    assert.deepEqual(
      given.map((each) => passes("tok", each)),
      [true, true, false, false, true, false, false, false],
    );
  });

  it("may have a comma in it", () => {
    assert.deepEqual([passes("a, b", "a, b"), passes("a, b", "a")], [true, false]);
  });

  it("can be carried when it is printable ASCII", () => {
    assert.deepEqual(["s3cret ~!", "gehéim", "a\tb"].map(isSendable), [true, false, false]);
  });
});
