// What the driver makes of refusals and of calls that break: which code, what text, and what may be sent again.
import assert from "node:assert/strict";
import { DynamoDBServiceException, TransactionCanceledException } from "@aws-sdk/client-dynamodb";
import { endedError, failureOf, type Sent } from "#sidecar/stores/dynamodb/failures.ts";

const sent = (effect: Sent["effect"]): Sent => {
  const conflicts = ["first conflict", "second conflict"];
  return { place: "in eu-central-1", table: "state", partitionKey: "key", effect, conflicts };
};
const WRITE = sent("write");
const READ = sent("read");
const REPEATABLE = sent("repeatable");

function answered(name: string, message = "s3cr3t", status = 400, more: object = {}): Error {
  const $metadata = { httpStatusCode: status, ...more };
  return new DynamoDBServiceException({ name, message, $fault: "client", $metadata });
}

/** A reason with a sentence of its own is a pair. */
type Reason = string | readonly [code: string, message: string];

function cancelled(...codes: readonly Reason[]): Error {
  const CancellationReasons = codes.map((reason) => {
    const [Code, Message] = typeof reason === "string" ? [reason, "s3cr3t"] : reason;
    return { Code, Message };
  });
  const $metadata = { httpStatusCode: 400 };
  return new TransactionCanceledException({ message: "s3cr3t", $metadata, CancellationReasons });
}

const outcome = (error: unknown, of: Sent): readonly [string, boolean, string] => {
  const { code, again, message } = failureOf(error, of);
  return [code, again, message];
};

describe("a refusal of DynamoDB's", () => {
  const table: [name: string, message: string, code: string, again: boolean, text: RegExp][] = [
    ["ConditionalCheckFailedException", "", "etag-mismatch", false, /^first conflict$/],
    ["ProvisionedThroughputExceededException", "", "unavailable", true, /throttles: the capacity of table state/],
    ["ThrottlingException", "", "unavailable", true, /throttles/],
    ["RequestLimitExceeded", "", "unavailable", true, /throttles/],
    ["TransactionConflictException", "", "unavailable", true, /another transaction on the same key/],
    ["ReplicatedWriteConflictException", "", "unavailable", true, /another transaction/],
    ["TransactionInProgressException", "", "unknown-outcome", true, /still under way .* may have happened/],
    ["ResourceNotFoundException", "", "unavailable", false, /has no table state; create it/],
    ["UnrecognizedClientException", "", "unavailable", false, /does not accept the access key/],
    ["InvalidSignatureException", "", "unavailable", false, /signature/],
    ["ExpiredTokenException", "", "unavailable", false, /session of the keys .* has expired/],
    ["AccessDeniedException", "", "unavailable", false, /does not allow this; see the rights/],
    ["ValidationException", "Item size has exceeded the maximum allowed size", "refused", false, /400 KB/],
    ["ValidationException", "Transaction payload size cannot exceed 4MB", "refused", false, /4 MB/],
    ["ValidationException", "Size of hashkey has exceeded the maximum", "refused", false, /too large/],
    ["ValidationException", "The provided key element does not match", "failed", false, /string key as its hash key/],
    ["SomethingNewException", "", "failed", false, /refused the request \(400 SomethingNewException\)/],
  ];
  for (const [name, message, code, again, text] of table) {
    it(`is ${code} for ${name} ${message}`.trim(), () => {
      const [gotCode, gotAgain, got] = outcome(answered(name, message === "" ? "s3cr3t" : message), WRITE);
      assert.deepEqual([gotCode, gotAgain], [code, again]);
      assert.match(got, text);
      assert.doesNotMatch(got, /s3cr3t/);
    });
  }

  it("is worth another attempt once the client has learnt the service's time", () => {
    const late = answered("InvalidSignatureException", "", 400, { clockSkewCorrected: true });
    assert.equal(failureOf(late, WRITE).again, true);
  });

  it("leaves open what became of a write when the service failed, and never has a plain one sent again", () => {
    for (const status of [408, 500, 503]) {
      const error = answered("InternalServerError", "s3cr3t", status);
      const text = `DynamoDB in eu-central-1 failed (${status})`;
      assert.deepEqual(outcome(error, WRITE), ["unknown-outcome", false, `${text}; the write may have happened`]);
      assert.deepEqual(outcome(error, REPEATABLE).slice(0, 2), ["unknown-outcome", true]);
      assert.deepEqual(outcome(error, READ), ["unavailable", true, text]);
    }
  });
});

describe("a transaction that DynamoDB has cancelled", () => {
  const table: [reasons: readonly Reason[], code: string, again: boolean, text: RegExp][] = [
    [["None", "ConditionalCheckFailed"], "etag-mismatch", false, /^second conflict$/],
    [["TransactionConflict", "ConditionalCheckFailed"], "etag-mismatch", false, /^second conflict$/],
    [["ThrottlingError", "ConditionalCheckFailed"], "etag-mismatch", false, /^second conflict$/],
    [["None", "TransactionConflict"], "unavailable", true, /another transaction on the same key/],
    [["ProvisionedThroughputExceeded", "None"], "unavailable", true, /throttles/],
    [["ThrottlingError", "TransactionConflict"], "unavailable", true, /throttles/],
    [["None", ["ValidationError", "Item size to update has exceeded"]], "refused", false, /400 KB/],
    [["None", ["ValidationError", "One of the required keys"]], "failed", false, /hash key/],
    [["ItemCollectionSizeLimitExceeded", "None"], "failed", false, /cancelled the transaction/],
  ];
  for (const [reasons, code, again, text] of table) {
    it(`is ${code} for ${reasons.join(" and ")}`, () => {
      const [gotCode, gotAgain, got] = outcome(cancelled(...reasons), REPEATABLE);
      assert.deepEqual([gotCode, gotAgain], [code, again]);
      assert.match(got, text);
      assert.doesNotMatch(got, /s3cr3t/);
    });
  }
});

describe("a call to DynamoDB that breaks", () => {
  const broken = (code: string, more: object = {}): Error => Object.assign(new Error("s3cr3t"), { code, ...more });

  it("has written nothing when there was no connection", () => {
    for (const error of [broken("ECONNREFUSED"), broken("ENOTFOUND"), broken("ETIMEDOUT", { syscall: "connect" })]) {
      const [code, again, text] = outcome(error, WRITE);
      assert.deepEqual([code, again], ["unavailable", false]);
      assert.match(text, /^cannot connect to DynamoDB in eu-central-1: E[A-Z]+$/);
    }
    const late = Object.assign(new Error("s3cr3t"), { name: "TimeoutError" });
    assert.deepEqual(outcome(late, WRITE).slice(0, 2), ["unavailable", false]);
  });

  it("points at the certificate where TLS fails", () => {
    const [code, , text] = outcome(broken("DEPTH_ZERO_SELF_SIGNED_CERT"), WRITE);
    assert.equal(code, "unavailable");
    assert.match(text, /check endpoint and its certificate/);
  });

  it("leaves open what became of a write when the connection broke behind it", () => {
    for (const error of [broken("ECONNRESET", { name: "TimeoutError" }), broken("EPIPE"), new SyntaxError("s3cr3t")]) {
      assert.deepEqual(outcome(error, WRITE).slice(0, 2), ["unknown-outcome", false]);
      assert.deepEqual(outcome(error, REPEATABLE).slice(0, 2), ["unknown-outcome", true]);
      assert.deepEqual(outcome(error, READ).slice(0, 2), ["unavailable", true]);
      assert.doesNotMatch(outcome(error, WRITE)[2], /s3cr3t/);
    }
  });

  it("leaves open what became of a write that went out on a connection which no longer leads anywhere", () => {
    for (const error of [
      broken("EHOSTUNREACH", { syscall: "read" }),
      broken("ENETUNREACH", { syscall: "write" }),
      broken("ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC"),
      broken("EPROTO", { syscall: "write" }),
    ]) {
      assert.deepEqual(outcome(error, WRITE).slice(0, 2), ["unknown-outcome", false]);
      assert.deepEqual(outcome(error, REPEATABLE).slice(0, 2), ["unknown-outcome", true]);
    }
    assert.equal(outcome(broken("EHOSTUNREACH", { syscall: "connect" }), WRITE)[0], "unavailable");
    assert.equal(outcome(broken("ENETUNREACH"), WRITE)[0], "unavailable");
  });

  it("tells who ended it, and whether a write may have been made", () => {
    const ends = (["left", "late", "closed"] as const).map((ending) =>
      [WRITE, READ].map((of) => [true, false].map((isOut) => endedError(ending, of, isOut).code)),
    );
    assert.deepEqual(ends, [
      [
        ["timeout", "timeout"],
        ["timeout", "timeout"],
      ],
      [
        ["timeout", "unavailable"],
        ["timeout", "unavailable"],
      ],
      [
        ["unknown-outcome", "closed"],
        ["closed", "closed"],
      ],
    ]);
  });
});
