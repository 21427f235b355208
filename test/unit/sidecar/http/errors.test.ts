import assert from "node:assert/strict";
import { answerOf } from "#sidecar/http/errors.ts";
import { queryNotSupported } from "#sidecar/state/errors.ts";

describe("error answers over HTTP", () => {
  // No store of this release is without a list of its keys, so that this one shows on no wire.
  it("tell of a store that cannot be queried as Dapr does", () => {
    const { status, body } = answerOf(queryNotSupported("statestore"), null);
    assert.equal(status, 500);
    assert.deepEqual(JSON.parse(body), {
      errorCode: "ERR_STATE_STORE_NOT_SUPPORTED",
      message: "state store does not support querying",
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ResourceInfo",
          description: "",
          owner: "",
          resource_name: "statestore",
          resource_type: "state",
        },
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          domain: "dapr.io",
          metadata: null,
          reason: "DAPR_STATE_QUERYING_NOT_SUPPORTED",
        },
      ],
    });
  });
});
