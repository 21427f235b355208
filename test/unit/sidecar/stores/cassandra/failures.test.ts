// What the errors of the client library become. Which ones Cassandra really sends is seen in faults.test.ts and
// test/faults/.
import assert from "node:assert/strict";
import { errors } from "cassandra-driver";
import { failureOf, type StatementKind } from "#sidecar/stores/cassandra/failures.ts";
import type { StoreErrorCode } from "#sidecar/stores/store.ts";

type Fields = Readonly<Record<string, unknown>>;

function response(code: number, message = "a sentence with the key app||secret", fields: Fields = {}): Error {
  return Object.assign(new errors.ResponseError(code, message), { coordinator: "10.0.0.1:9042", ...fields });
}

function socket(fields: Fields = {}): Error {
  return Object.assign(new Error("Socket was closed"), { isSocketError: true, ...fields });
}

const exhausted = (inner: Fields): Error => new errors.NoHostAvailableError(inner);
const SERIAL = 8;
const ALL = 5;
const too = { required: 3, alive: 2 };

/** What it is, the error, and the codes for a read, a write and a lightweight transaction. */
const TABLE: readonly (readonly [string, Error, readonly [StoreErrorCode, StoreErrorCode, StoreErrorCode]])[] = [
  [
    "too few replicas",
    response(0x1000, "", { ...too, consistencies: ALL }),
    ["unavailable", "unavailable", "unknown-outcome"],
  ],
  [
    "too few replicas to agree",
    response(0x1000, "", { ...too, consistencies: SERIAL }),
    ["unavailable", "unavailable", "unavailable"],
  ],
  ["a write timeout", response(0x1100), ["timeout", "timeout", "timeout"]],
  ["a read timeout", response(0x1200), ["timeout", "timeout", "timeout"]],
  ["failing replicas", response(0x1500), ["unavailable", "unknown-outcome", "unknown-outcome"]],
  ["failing replicas of a read", response(0x1300), ["unavailable", "unknown-outcome", "unknown-outcome"]],
  ["replicas whose log of changes is full", response(0x1600), ["unavailable", "unknown-outcome", "unknown-outcome"]],
  ["an agreement nobody knows", response(0x1700), ["unavailable", "unknown-outcome", "unknown-outcome"]],
  ["overload", response(0x1001), ["unavailable", "unknown-outcome", "unknown-outcome"]],
  ["a server's own fault", response(0), ["failed", "unknown-outcome", "unknown-outcome"]],
  ["a node that starts", response(0x1002), ["unavailable", "unavailable", "unavailable"]],
  ["a user without the right", response(0x2100), ["unavailable", "unavailable", "unavailable"]],
  ["a wrong password", response(0x0100), ["unavailable", "unavailable", "unavailable"]],
  ["a protocol too old", response(0x000a), ["unavailable", "unavailable", "unavailable"]],
  ["a statement that is refused", response(0x2200), ["failed", "failed", "failed"]],
  [
    "a TTL beyond the end of time",
    response(0x2200, "... exceeds maximum supported expiration date of ..."),
    ["refused", "refused", "refused"],
  ],
  ["too large a write", response(0x2200, "Rejected an oversized mutation (9/8)"), ["refused", "refused", "refused"]],
  [
    "a sign-in that fails",
    new errors.AuthenticationError("for user app"),
    ["unavailable", "unavailable", "unavailable"],
  ],
  ["no answer", new errors.OperationTimedOutError("x", "10.0.0.1:9042"), ["timeout", "timeout", "timeout"]],
  ["a connection that breaks", socket(), ["unavailable", "unknown-outcome", "unknown-outcome"]],
  [
    "a connection that was broken before",
    socket({ requestNotWritten: true }),
    ["unavailable", "unavailable", "unavailable"],
  ],
  [
    "nodes that are known to be away",
    exhausted({ a: "Host considered as DOWN" }),
    ["unavailable", "unavailable", "unavailable"],
  ],
  ["no node at all", exhausted({}), ["unavailable", "unavailable", "unavailable"]],
  [
    "one node away, one that broke the connection",
    exhausted({ a: "Host considered as DOWN", b: new Error("other"), c: socket() }),
    ["unavailable", "unknown-outcome", "unknown-outcome"],
  ],
  [
    "one of several that answered",
    exhausted({ a: null, b: response(0x1000, "", { ...too, consistencies: ALL }) }),
    ["unavailable", "unavailable", "unknown-outcome"],
  ],
  [
    "the system's word",
    exhausted({ a: new Error("connect ECONNREFUSED a") }),
    ["unavailable", "unavailable", "unavailable"],
  ],
];

const KINDS: readonly StatementKind[] = ["read", "write", "conditional"];

describe("failures of state.cassandra", () => {
  for (const [what, error, codes] of TABLE)
    it(`tell of ${what}`, () => {
      assert.deepEqual(
        KINDS.map((kind) => failureOf(error, kind).code),
        codes,
      );
      for (const kind of KINDS) {
        const { code, message } = failureOf(error, kind);
        const isOpen = code === "unknown-outcome" || (code === "timeout" && kind !== "read");
        assert.equal(message.includes("may have happened"), isOpen, message);
        assert.doesNotMatch(message, /secret|user app/);
      }
    });

  it("name the node, the replicas and the consistency", () => {
    const few = response(0x1000, "", { ...too, consistencies: ALL });
    assert.equal(
      failureOf(few, "write").message,
      "cassandra at 10.0.0.1:9042 knows 2 of 3 replicas alive that it needs for All",
    );
    const late = response(0x1100, "", { received: 1, blockFor: 2, consistencies: SERIAL });
    assert.equal(
      failureOf(late, "conditional").message,
      "the replicas did not answer cassandra at 10.0.0.1:9042 in time: 1 of 2 for Serial; the write may have happened",
    );
    const inner = { "10.0.0.1:9042": new Error("connect ECONNREFUSED 10.0.0.1:9042") };
    assert.equal(
      failureOf(exhausted(inner), "read").message,
      "cannot reach cassandra at 10.0.0.1:9042: connect ECONNREFUSED 10.0.0.1:9042",
    );
    const away = { a: "Host considered as DOWN", b: "Host considered as DOWN", c: "", d: "" };
    assert.equal(failureOf(exhausted(away), "read").message, "no node of cassandra can be reached: a, b, c, …");
  });
});
