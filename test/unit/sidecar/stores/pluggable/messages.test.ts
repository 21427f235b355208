import assert from "node:assert/strict";
import { foundIn, setRequest } from "#sidecar/stores/pluggable/messages.ts";
import { write } from "#test/conformance/requests.ts";

const BYTES = Buffer.from("1");

describe("what a pluggable component is sent", () => {
  it("has the time to live that the core has read, and no other word for it", () => {
    const said = { metadata: { ttlInSeconds: "-1", partitionKey: "p" } };
    assert.deepEqual(setRequest(write("k", BYTES, said)).metadata, { partitionKey: "p" });
    assert.deepEqual(setRequest(write("k", BYTES, { ...said, ttlSec: 5 })).metadata, {
      partitionKey: "p",
      ttlInSeconds: "5",
    });
  });

  it("never says last-write beside an ETag, which some drivers take for leave to pass over it", () => {
    const [unspecified, firstWrite] = [0, 1];
    assert.equal(setRequest(write("k", BYTES, { etag: "1" })).options?.concurrency, unspecified);
    assert.equal(setRequest(write("k", BYTES, { firstWrite: true })).options?.concurrency, firstWrite);
  });
});

describe("what a pluggable component answers", () => {
  it("is nothing without data and ETag, and an empty value with an ETag", () => {
    const data = Buffer.alloc(0);
    assert.equal(foundIn({ data, etag: undefined, metadata: {} }), null);
    assert.deepEqual(foundIn({ data, etag: { value: "1" }, metadata: {} }), {
      bytes: data,
      etag: "1",
      expiresAtMs: null,
    });
  });
});
