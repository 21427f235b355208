import assert from "node:assert/strict";
import fc from "fast-check";
import { etagFromHeader, readQueryRetry, withHeaderOptions } from "#sidecar/http/legacy.ts";

describe("an ETag in If-Match", () => {
  it("is the same with and without its quotes where no ETag begins with one", () => {
    const etag = fc.string({ minLength: 1 }).filter((text) => !text.startsWith('"'));
    fc.assert(
      fc.property(etag, (text) => {
        assert.equal(etagFromHeader(`"${text}"`, false), text);
        assert.equal(etagFromHeader(text, false), text);
      }),
    );
  });

  it("is left as it was sent where ETags may begin with a quote", () => {
    fc.assert(fc.property(fc.string(), (text) => assert.equal(etagFromHeader(text, true), text)));
  });

  it("loses one pair of quotes and no more, and never a single one", () => {
    assert.deepEqual(
      ['""a""', '"', '"a', 'a"', '""'].map((text) => etagFromHeader(text, false)),
      ['"a"', '"', '"a', 'a"', ""],
    );
  });
});

describe("option words in headers", () => {
  const nothing = { consistency: "", concurrency: "" };

  it("count where the request says nothing, and only known ones", () => {
    const headers = { consistency: "strong", concurrency: "perhaps" };
    assert.deepEqual(withHeaderOptions(nothing, headers), { consistency: "strong", concurrency: "" });
  });

  it("give way to the request's own, right or wrong", () => {
    const own = { consistency: "eventual", concurrency: "odd" };
    assert.deepEqual(withHeaderOptions(own, { consistency: "strong", concurrency: "first-write" }), own);
  });
});

describe("the retry parameters of a delete", () => {
  const read = (text: string): unknown => readQueryRetry(new Map(new URLSearchParams(text)));

  it("are milliseconds, a pattern and attempts in all", () => {
    const text = "retryInterval=50&retryPattern=exponential&retryThreshold=3";
    assert.deepEqual(read(text), { intervalMs: 50, pattern: "exponential", threshold: 3 });
  });

  it("mean one attempt when the threshold is missing, zero or no number", () => {
    for (const text of ["", "retryThreshold=0", "retryThreshold=-1", "retryThreshold=many"])
      assert.equal(read(text), null);
  });

  it("count what is no number as zero, and never pause longer than a minute", () => {
    assert.deepEqual(read("retryThreshold=2&retryInterval=x"), { intervalMs: 0, pattern: "linear", threshold: 2 });
    assert.deepEqual(read("retryThreshold=2&retryInterval=999999"), {
      intervalMs: 60_000,
      pattern: "linear",
      threshold: 2,
    });
  });

  it("refuse a pattern that is none", () => {
    assert.throws(() => read("retryThreshold=2&retryPattern=random"), { code: "malformed", message: /retryPattern/ });
  });
});
