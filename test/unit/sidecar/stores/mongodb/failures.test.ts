// What the errors of the client library become, of which no server here makes some.
import assert from "node:assert/strict";
import { MongoNetworkError } from "mongodb";
import { failureOf } from "#sidecar/stores/mongodb/failures.ts";
import { StoreError, type StoreErrorCode } from "#sidecar/stores/store.ts";

function codeOf(message: string): StoreErrorCode {
  const failed = { error: new MongoNetworkError(message), server: "mongo:27017", isWrite: true, repeated: false };
  const failure = failureOf(failed);
  assert.ok(failure instanceof StoreError, String(failure));
  return failure.code;
}

describe("failures of state.mongodb", () => {
  it("say that nothing was written where no connection could be made", () => {
    for (const message of [
      "connect ECONNREFUSED 10.0.0.1:27017",
      "connect EHOSTUNREACH 10.0.0.1:27017",
      "getaddrinfo ENOTFOUND mongo",
      "getaddrinfo EAI_AGAIN mongo",
      "connect ETIMEDOUT 10.0.0.1:27017",
      "querySrv ENOTFOUND _mongodb._tcp.mongo",
      "queryTxt ESERVFAIL mongo",
      "Client network socket disconnected before secure TLS connection was established",
    ])
      assert.equal(codeOf(message), "unavailable", message);
  });

  it("say that nothing was written where the connection was not yet ready for it", () => {
    const lost = (beforeHandshake: boolean): StoreErrorCode => {
      const error = new MongoNetworkError("connection 1 to 10.0.0.1:27017 closed", { beforeHandshake });
      const failure = failureOf({ error, server: "mongo:27017", isWrite: true, repeated: false });
      assert.ok(failure instanceof StoreError, String(failure));
      return failure.code;
    };
    assert.deepEqual([lost(true), lost(false)], ["unavailable", "unknown-outcome"]);
  });

  it("name what the resolver says of the records of a server", () => {
    const error = Object.assign(new Error("querySrv ENOTFOUND _mongodb._tcp.mongo"), { code: "ENOTFOUND" });
    const { message } = failureOf({ error, server: "mongo", isWrite: false, repeated: false });
    assert.equal(message, "cannot connect to mongodb at mongo: ENOTFOUND");
  });

  it("say that a write may have happened where a connection that was there is lost", () => {
    for (const message of [
      "read EHOSTUNREACH",
      "read ECONNRESET",
      "write EPIPE",
      "read ENETUNREACH",
      "read ECONNREFUSED",
    ])
      assert.equal(codeOf(message), "unknown-outcome", message);
  });
});
