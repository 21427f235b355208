import assert from "node:assert/strict";
import { type ErrorInfo, ErrorInfo as ErrorInfoType, Help, ResourceInfo } from "#proto/gen/google/rpc/error_details.ts";
import { Status } from "#proto/gen/google/rpc/status.ts";
import { decodeMessage } from "#proto/wire.ts";
import { codeOf, statusOf, tagOf } from "#sidecar/grpc/errors.ts";
import { StateError } from "#sidecar/state/errors.ts";

function detailsOf(error: StateError) {
  const { details } = statusOf(error);
  assert.ok(details !== null);
  return decodeMessage(Status, details).details;
}

function infoIn(value: Uint8Array | undefined): ErrorInfo {
  return decodeMessage(ErrorInfoType, value ?? new Uint8Array());
}

describe("the gRPC error table", () => {
  it("says of a store without transactions where to read which ones have them", () => {
    const error = new StateError("transactions-not-supported", "failed", "no", { store: "s" });
    const [help, resource, info] = detailsOf(error);
    assert.equal(codeOf(error), "Unimplemented");
    assert.deepEqual(decodeMessage(Help, help?.value ?? new Uint8Array()).links, [
      {
        description: "Check the list of state stores and the features they support",
        url: "https://docs.dapr.io/reference/components-reference/supported-state-stores/",
      },
    ]);
    assert.equal(decodeMessage(ResourceInfo, resource?.value ?? new Uint8Array()).resourceName, "s");
    assert.equal(infoIn(info?.value).reason, "DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED");
  });

  it("counts the operations of a transaction that has too many", () => {
    const subject = { store: "s", operations: 11, operationsMax: 10 };
    const error = new StateError("too-many-operations", "invalid", "too many", subject);
    const [, info] = detailsOf(error);
    assert.equal(codeOf(error), "InvalidArgument");
    const { reason, metadata } = infoIn(info?.value);
    assert.equal(reason, "DAPR_STATE_TOO_MANY_TRANSACTIONS");
    assert.deepEqual(metadata, { currentOpsTransaction: "11", maxOpsPerTransaction: "10" });
  });

  it("has Dapr's codes for queries and actors", () => {
    const table = [
      ["query-not-supported", "Internal", "ERR_STATE_STORE_NOT_SUPPORTED"],
      ["query-failed", "Internal", "ERR_STATE_QUERY"],
      ["actor-store-missing", "Internal", "ERR_ACTOR_RUNTIME_NOT_FOUND"],
      ["actor-type-reserved", "PermissionDenied", "ERR_ACTOR_TYPE_RESERVED"],
      ["list-not-supported", "Unimplemented", "ERR_STATE_STORE_NOT_SUPPORTED"],
    ] as const;
    for (const [stateCode, code, tag] of table) {
      const error = new StateError(stateCode, "failed", "text", { store: "s" });
      assert.deepEqual([codeOf(error), tagOf(error)], [code, tag]);
    }
  });
});
