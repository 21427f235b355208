// What the driver makes of the ends of calls: which code, what text, and what may be tried again.
import assert from "node:assert/strict";
import { type Status, statusError } from "#sidecar/stores/etcd/failures.ts";

const outcome = (status: Status, isWrite: boolean): readonly [code: string, again: string | null, text: string] => {
  const { code, again, message } = statusError({ status, server: "etcd:2379", isWrite });
  return [code, again, message];
};

describe("the end of a call to etcd", () => {
  it("is that nothing was written when there was no connection", () => {
    const details =
      "No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:2379. Resolution note: ";
    for (const isWrite of [true, false]) {
      assert.deepEqual(outcome({ code: 14, details }, isWrite), [
        "unavailable",
        "elsewhere",
        "cannot connect to etcd at etcd:2379: ECONNREFUSED",
      ]);
    }
  });

  it("points at the certificates where TLS fails", () => {
    const details = "No connection established. Last error: Error: unable to verify the first certificate";
    assert.match(outcome({ code: 14, details }, false)[2], /check tlsEnable, ca, cert and key/);
  });

  it("names what is wrong with the server's certificate, and passes no other word on", () => {
    const details = "No connection established. Last error: Error: certificate has expired (s3cret.internal)";
    assert.deepEqual(outcome({ code: 14, details }, true), [
      "unavailable",
      "elsewhere",
      "cannot connect to etcd at etcd:2379: the server's certificate has expired; " +
        "check tlsEnable, ca, cert and key, and the server's certificate",
    ]);
  });

  it("leaves open what became of a write whose connection broke, and never has it sent again", () => {
    const status = { code: 14, details: "Connection dropped" };
    const text = "lost the connection to etcd at etcd:2379";
    assert.deepEqual(outcome(status, true), ["unknown-outcome", null, `${text}; the write may have happened`]);
    assert.deepEqual(outcome(status, false), ["unavailable", "elsewhere", text]);
  });

  it("leaves open what became of a write that was not answered, by gRPC or by etcd", () => {
    for (const status of [
      { code: 4, details: "Deadline exceeded after 5.001s" },
      { code: 14, details: "etcdserver: request timed out" },
      { code: 14, details: "etcdserver: request timed out, possibly due to previous leader failure" },
    ]) {
      assert.deepEqual(outcome(status, true).slice(0, 2), ["timeout", null]);
      assert.deepEqual(outcome(status, false).slice(0, 2), ["timeout", "elsewhere"]);
    }
  });

  it("is etcd's own refusal where etcd has spoken", () => {
    const table: [Status, string, string | null, RegExp][] = [
      [{ code: 3, details: "etcdserver: request is too large" }, "refused", null, /--max-request-bytes/],
      [{ code: 3, details: "etcdserver: too many operations in txn request" }, "refused", null, /--max-txn-ops/],
      [{ code: 8, details: "etcdserver: mvcc: database space exceeded" }, "unavailable", null, /no space left/],
      [{ code: 7, details: "etcdserver: permission denied" }, "unavailable", null, /docs\/stores\/etcd\.md/],
      [{ code: 16, details: "etcdserver: invalid auth token" }, "unavailable", "sign-in", /token/],
      [{ code: 14, details: "etcdserver: no leader" }, "unavailable", "elsewhere", /no leader/],
      [{ code: 9, details: "etcdserver: something new" }, "failed", null, /refused the call \(status 9\)/],
    ];
    for (const [status, code, again, text] of table) {
      const [gotCode, gotAgain, message] = outcome(status, true);
      assert.deepEqual([gotCode, gotAgain], [code, again], status.details);
      assert.match(message, text);
      assert.doesNotMatch(message, /may have happened/);
    }
  });

  it("leaves open what became of a write when something else than etcd has spoken", () => {
    const status = { code: 13, details: "Received RST_STREAM with code 2 from s3cr3t" };
    assert.deepEqual(outcome(status, true), [
      "unknown-outcome",
      null,
      "no answer of etcd from etcd:2379 (status 13); the write may have happened",
    ]);
    assert.equal(outcome(status, false)[0], "unavailable");
  });
});
