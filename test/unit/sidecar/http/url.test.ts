import assert from "node:assert/strict";
import fc from "fast-check";
import { parseQuery, parseTarget, unescapePart, withQueryMetadata } from "#sidecar/http/url.ts";

describe("request target", () => {
  const cases: readonly (readonly [string, readonly string[], string])[] = [
    ["/v1.0/state/s/k", ["v1.0", "state", "s", "k"], ""],
    ["//v1.0//state/./s/x/../k/", ["v1.0", "state", "s", "k"], ""],
    ["/v1.0/state/s/a%2Fb", ["v1.0", "state", "s", "a%2Fb"], ""],
    ["/v1.0/state/s/k?metadata.a=b?c", ["v1.0", "state", "s", "k"], "metadata.a=b?c"],
    ["http://host:1/v1.0/metadata?x=y", ["v1.0", "metadata"], "x=y"],
    ["http://host", [], ""],
    ["/../../a", ["a"], ""],
    ["/", [], ""],
    ["*", [], ""],
  ];
  for (const [url, parts, query] of cases) {
    it(`cuts up ${url}`, () => assert.deepEqual(parseTarget(url), { parts, query }));
  }

  it("unescapes a part as Go's query unescaping does", () => {
    assert.equal(unescapePart("a%2Fb+c%2Bd%E2%82%AC"), "a/b c+d€");
    assert.equal(unescapePart("%EF%BF%BD"), "\u{fffd}");
  });

  it("gives null for a broken escape and for bytes that are not UTF-8", () => {
    for (const part of ["%", "%2", "%zz", "%ff", "a%C3", "%ED%A0%80"]) assert.equal(unescapePart(part), null, part);
  });

  it("reads back every text that was percent-encoded", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const sent = text.toWellFormed();
        assert.equal(unescapePart(encodeURIComponent(sent)), sent);
      }),
    );
  });

  it("takes the first of a repeated query name and passes over broken pairs", () => {
    const query = parseQuery("a=1&a=2&b=%zz&c;d=1&e&f=x+y");
    assert.deepEqual(
      [...query],
      [
        ["a", "1"],
        ["e", ""],
        ["f", "x y"],
      ],
    );
  });

  it("puts metadata of the query over that of the body", () => {
    const merged = withQueryMetadata(parseQuery("metadata.a=1&metadata.b=2&Metadata.c=3&consistency=strong"), {
      a: "0",
      z: "9",
    });
    assert.deepEqual(merged, { a: "1", b: "2", z: "9" });
  });
});
