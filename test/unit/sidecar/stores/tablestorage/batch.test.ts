// The answers to several changes in one request, as the services write them.
import assert from "node:assert/strict";
import type { StorageAnswer } from "#sidecar/stores/azure/storage-failures.ts";
import { refusalIn } from "#sidecar/stores/tablestorage/batch.ts";

function answer(...parts: readonly string[]): StorageAnswer {
  const body = parts
    .map((part) => `--changesetresponse_1\r\nContent-Type: application/http\r\n\r\n${part}\r\n`)
    .join("");
  return { status: 202, headers: {}, body: Buffer.from(`${body}--changesetresponse_1--\r\n`), code: "" };
}

describe("the answer to a batch", () => {
  it("is no refusal when all parts are successes, whatever a value that it repeats says", () => {
    const repeated = 'HTTP/1.1 201 Created\r\n\r\n{"Value":"HTTP/1.1 409 Conflict\\nHTTP/1.1 500"}';
    assert.equal(refusalIn(answer("HTTP/1.1 204 No Content\r\n", repeated), "a server"), null);
  });

  it("names the change that was refused, and why", () => {
    const error = '{"odata.error":{"code":"EntityAlreadyExists","message":{"value":"2:It is there."}}}';
    const refusal = refusalIn(answer(`HTTP/1.1 409 Conflict\r\n\r\n${error}`), "a server");
    assert.deepEqual([refusal?.at, refusal?.code], [2, "EntityAlreadyExists"]);
  });

  it("is a write that may have happened when it is none of the service's", () => {
    assert.equal(refusalIn(answer(), "a server")?.error.code, "unknown-outcome");
  });
});
