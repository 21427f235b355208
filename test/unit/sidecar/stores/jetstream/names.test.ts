// Which entry of the bucket a key has.
import assert from "node:assert/strict";
import fc from "fast-check";
import { nameOf } from "#sidecar/stores/jetstream/names.ts";

describe("the name of a key in a bucket", () => {
  it("is the one that Dapr's driver makes, for every key that it takes", () => {
    assert.equal(nameOf("app||order-1", false), "app.order-1");
    assert.equal(nameOf("app||a/b_c=d.e", false), "app.a/b_c=d.e");
    assert.equal(nameOf("k", false), "k");
    assert.equal(nameOf("app||name=ulla/id=u7", false), "app.name=ulla/id=u7");
    assert.equal(nameOf("app||a=ub", false), "app.a=ub");
    assert.equal(nameOf("ns.app||k", true), "ns.app.k");
    assert.equal(nameOf("app||Type||id||k", true), "app.Type.id.k");
  });

  const escaped: readonly (readonly [key: string, name: string])[] = [
    ["app||a b", "app.a=u20=b"],
    ["app||a*>", "app.a=u2a==u3e="],
    ["app||\u{1f9fa}", "app.=u1f9fa="],
    ["app||\ud800", "app.=ud800="],
    ["app||.a", "app.=u2e=a"],
    ["app||a.", "app.a=u2e="],
    ["app||a..b", "app.a.=u2e=b"],
    ["app||", "app.=u="],
    ["app||a=u20=b", "app.a=u3d=u20=b"],
    ["app||a=u=", "app.a=u3d=u="],
    ["app||a=u b", "app.a=u3d=u=u20=b"],
    ["app||a=vb", "app.a=vb"],
    ["", "=u="],
  ];
  for (const [key, name] of escaped) {
    it(`escapes ${JSON.stringify(key)}`, () => {
      assert.equal(nameOf(key, false), name);
    });
  }

  for (const key of ["ns.app||k", "a.b", "app||Type||id||k", "||a||b"]) {
    it(`refuses ${key}, which could be read as another key's`, () => {
      assert.throws(() => nameOf(key, false), { code: "refused", message: /see dotsAsSeparators/ });
    });
  }

  it("is another one for every key that is not refused, and one that NATS takes", () => {
    const piece = fc.oneof(fc.constantFrom("||", "|", ".", "=", "u", "=u", "20=", "a", " ", "\u{1f9fa}"), fc.string());
    const key = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
    const named = (each: string): string | null => {
      try {
        return nameOf(each, false);
      } catch {
        return null;
      }
    };
    fc.assert(
      fc.property(key, key, (one, other) => {
        const [a, b] = [named(one), named(other)];
        fc.pre(a !== null && b !== null);
        assert.equal(a === b, one === other);
        assert.match(a, /^[-/_=a-zA-Z0-9]+(\.[-/_=a-zA-Z0-9]+)*$/);
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses a key that is too long, as it is or as it is written", () => {
    assert.throws(() => nameOf(`a||${"k".repeat(2046)}`, false), { code: "refused", message: /of 2049 bytes/ });
    assert.equal(nameOf(`a||${"k".repeat(2045)}`, false).length, 2047);
    assert.throws(() => nameOf(`a||${" ".repeat(1000)}`, false), { code: "refused", message: /takes 5002 bytes/ });
  });
});
