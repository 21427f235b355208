// Which node a key has.
import assert from "node:assert/strict";
import fc from "fast-check";
import { nodesAbove, Paths } from "#sidecar/stores/zookeeper/paths.ts";

describe("the node of a key", () => {
  const at = (prefix: string, key: string): string => new Paths(prefix).pathOf(key);

  it("is the one that Dapr's driver joins", () => {
    assert.equal(at("/dapr", "app||order-1"), "/dapr/app||order-1");
    assert.equal(at("/dapr/", "app||a/b"), "/dapr/app||a/b");
    assert.equal(at("/x/../dapr//y/.", "k\u00e9y"), "/dapr/y/k\u00e9y");
  });

  it("begins at the root, whatever the prefix", () => {
    assert.deepEqual([at("", "k"), at("/", "k"), at("dapr", "k")], ["/k", "/k", "/dapr/k"]);
  });

  const escaped: readonly (readonly [key: string, path: string])[] = [
    ["a\nb", "/p/a\u241ba;b"],
    ["\u{1f9fa}", "/p/\u241b1f9fa;"],
    ["\ud800", "/p/\u241bd800;"],
    ["\u241b", "/p/\u241b241b;"],
    ["a//b", "/p/a/\u241b;/b"],
    ["/a", "/p/\u241b;/a"],
    ["a/", "/p/a/\u241b;"],
    ["../a", "/p/\u241b2e;\u241b2e;/a"],
    [".", "/p/\u241b2e;"],
    ["", "/p/\u241b;"],
    ["a\0", "/p/a\u241b0;"],
  ];
  for (const [key, path] of escaped) {
    it(`escapes ${JSON.stringify(key)}`, () => {
      assert.equal(at("/p", key), path);
    });
  }

  it("keeps out of the tree that ZooKeeper has for itself", () => {
    assert.match(at("", "zookeeper/quota"), /^\/\u241b7a;/);
    assert.match(at("", "zookeeper"), /^\/\u241b7a;/);
    assert.equal(at("/p", "zookeeper/quota"), "/p/zookeeper/quota");
    assert.equal(at("", "zookeeper2"), "/zookeeper2");
  });

  it("is another one for every key", () => {
    const piece = fc.oneof(fc.constantFrom("/", ".", "\u241b", "2e;", ";", "a", "\n", "\u{1f9fa}"), fc.string());
    const key = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(key, key, (one, other) => {
        assert.equal(at("/p", one) === at("/p", other), one === other);
      }),
    );
  });

  it("refuses a key that is too long, and names its length", () => {
    assert.throws(() => at("/p", `${"k".repeat(2047)}\u00e9`), { code: "refused", message: /of 2049 bytes/ });
  });

  it("has the nodes above it, below the prefix and in all", () => {
    const paths = new Paths("/p/q");
    const path = paths.pathOf("a/b/c");
    assert.deepEqual(paths.parentsOf(path), ["/p/q/a", "/p/q/a/b"]);
    assert.deepEqual(nodesAbove(path), ["/p", "/p/q", "/p/q/a", "/p/q/a/b"]);
    assert.deepEqual(paths.parentsOf(paths.pathOf("a")), []);
    assert.deepEqual(new Paths("").parentsOf("/a/b"), ["/a"]);
  });
});
