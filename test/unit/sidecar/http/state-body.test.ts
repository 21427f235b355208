import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeBulkGet, decodeSave, decodeTransaction } from "#sidecar/http/state-body.ts";

function saved(text: string): { key: string; value: string }[] {
  return decodeSave(Buffer.from(text)).map(({ key, bytes }) => ({ key, value: Buffer.from(bytes).toString() }));
}

describe("save body", () => {
  it("keeps a value's exact text, whatever it is", () => {
    const values = [
      '{ "b":1,"a" :[ ] }',
      "12345678901234567890.50",
      '{"a":1,"a":2}',
      '"\\ud800\\u0041"',
      "[1 , 2]",
      "null",
      "-0",
    ];
    for (const value of values) {
      assert.deepEqual(saved(`[{"key":"k","value": ${value} }]`), [{ key: "k", value }]);
    }
  });

  it("keeps the exact text of any JSON value among other members", () => {
    fc.assert(
      fc.property(fc.json(), fc.jsonValue(), (value, other) => {
        const body = `[{"other":${JSON.stringify(other)},"key":"k","value":${value},"x":[{"value":1}]}]`;
        assert.deepEqual(saved(body), [{ key: "k", value }]);
      }),
    );
  });

  it("stores null for an item without a value", () => {
    assert.deepEqual(saved('[{"key":"k"}]'), [{ key: "k", value: "null" }]);
  });

  it("matches member names without regard to case, and the last of duplicates counts", () => {
    assert.deepEqual(saved('[{"KEY":"a","Key":"b","VALUE":1,"value":2}]'), [{ key: "b", value: "2" }]);
  });

  it("ignores what follows the first JSON value", () => {
    assert.deepEqual(saved('[{"key":"k","value":1}] trailing'), [{ key: "k", value: "1" }]);
  });

  it("decodes a body that is one string holding an array", () => {
    assert.deepEqual(saved(JSON.stringify('[{"key":"k","value":{"a": 1}}]')), [{ key: "k", value: '{"a": 1}' }]);
  });

  it("takes null and [] as no items", () => {
    assert.deepEqual([saved("null"), saved("[]")], [[], []]);
  });

  it("reads etag, metadata, options and the old retry policy", () => {
    const text = `[{"key":"k","etag":"7","metadata":{"ttlInSeconds":"5"},"options":{"concurrency":"first-write",
      "consistency":"strong","retryPolicy":{"interval":100,"pattern":"exponential","threshold":3}}}]`;
    const [item] = decodeSave(Buffer.from(text));
    assert.equal(item?.etag, "7");
    assert.deepEqual(item?.metadata, { ttlInSeconds: "5" });
    assert.deepEqual(item?.options, { concurrency: "first-write", consistency: "strong" });
    assert.deepEqual(item?.retry, { intervalMs: 100, pattern: "exponential", threshold: 3 });
  });

  it("keeps a metadata entry called __proto__ as an entry", () => {
    const [item] = decodeSave(Buffer.from('[{"key":"k","metadata":{"__proto__":"x"}}]'));
    assert.deepEqual(Object.entries(item?.metadata ?? {}), [["__proto__", "x"]]);
  });

  const refused: readonly (readonly [string, RegExp])[] = [
    ["", /^EOF$/],
    ["   ", /^EOF$/],
    ["{}", /^the body: got object, want an array$/],
    ["foobar", /invalid character "o" in literal false/],
    ["[{}]", /^"key" is a required field$/],
    ["[null]", /^"key" is a required field$/],
    ['[{"key":"a"},{"ke":"b"}]', /^"key" is a required field \(item 1\)$/],
    ['[{"key":"k","etag":123}]', /^etag: got number, want a string$/],
    ['[{"key":1}]', /^key: got number, want a string$/],
    ['[{"key":"k","value":1},]', /looking for beginning of value/],
    ['[{"key":"k","metadata":{"ttlInSeconds":3}}]', /^metadata.ttlInSeconds: got number, want a string$/],
    ['[{"key":"k","options":{"retryPolicy":{"pattern":"random","threshold":2}}}]', /retryPolicy.pattern: got "random"/],
    [
      '[{"key":"k","options":{"retryPolicy":{"interval":60001}}}]',
      /interval: got 60001, want a whole number up to 60000/,
    ],
    ['"no json"', /looking for|in literal/],
  ];
  for (const [text, message] of refused) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => decodeSave(Buffer.from(text)),
        (error) =>
          error instanceof Error && "code" in error && error.code === "malformed" && message.test(error.message),
      );
    });
  }

  it("refuses bytes that are not UTF-8", () => {
    assert.throws(() => decodeSave(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d])), {
      code: "malformed",
      message: /not valid UTF-8/,
    });
  });
});

describe("bulk get body", () => {
  it("reads keys, parallelism and metadata", () => {
    const body = decodeBulkGet(Buffer.from('{"keys":["a",""],"parallelism":3,"metadata":{"m":"1"}}'));
    assert.deepEqual(body, { keys: ["a", ""], parallelism: 3, metadata: { m: "1" } });
  });

  it("takes a body without keys as none", () => {
    assert.deepEqual(decodeBulkGet(Buffer.from("{}")).keys, []);
  });

  it("puts Dapr's words before a fault", () => {
    assert.throws(() => decodeBulkGet(Buffer.from("")), {
      code: "malformed",
      message: "failed deserializing HTTP body: EOF",
    });
    assert.throws(() => decodeBulkGet(Buffer.from('{"parallelism":1.5}')), {
      code: "malformed",
      message: /parallelism: got 1.5/,
    });
  });
});

describe("transaction body", () => {
  it("reads operations with their exact values, and shared metadata", () => {
    const text =
      '{"operations":[{"operation":"upsert","request":{"key":"a","value":{"z" :1}}},{"operation":"delete","request":{"key":"b"}}],"metadata":{"m":"1"}}';
    const body = decodeTransaction(Buffer.from(text));
    const operations = body.operations.map(({ operation, request }) => [
      operation,
      request.key,
      Buffer.from(request.bytes).toString(),
    ]);
    assert.deepEqual(operations, [
      ["upsert", "a", '{"z" :1}'],
      ["delete", "b", "null"],
    ]);
    assert.deepEqual(body.metadata, { m: "1" });
  });

  it("takes a body without operations as none", () => {
    assert.deepEqual(decodeTransaction(Buffer.from('{"operations":null}')).operations, []);
  });
});
