import assert from "node:assert/strict";
import type { KubeObject } from "#operator/kube/object.ts";
import { ObjectCache } from "#operator/kube/object-cache.ts";
import { objectAt, type TestContext, testContext } from "./scripted-client.ts";

describe("object cache", () => {
  let context: TestContext;
  let cache: ObjectCache<KubeObject>;
  let counts: number[];

  beforeEach(() => {
    context = testContext(() => null);
    counts = [];
    const metrics = { ...context.metrics, cached: (_resource: string, count: number) => counts.push(count) };
    cache = new ObjectCache({ resource: "things", parts: ["one", "two"], log: context.log, metrics });
  });

  it("replaces a part and leaves the others alone", () => {
    cache.replace("one", [objectAt("a", "1", { namespace: "one" })]);
    assert.equal(cache.synced, false);
    cache.replace("two", [objectAt("a", "1", { namespace: "two" }), objectAt("b", "1", { namespace: "two" })]);
    assert.equal(cache.synced, true);
    cache.replace("two", []);
    assert.deepEqual([...cache.all()].length, 1);
    assert.deepEqual([...cache.all("two")], []);
    assert.equal(cache.get("one/a")?.metadata.name, "a");
    assert.equal(counts.at(-1), 1);
  });

  it("tells nothing of an object that it has, and a new one of the same name with the old one", () => {
    const told: unknown[] = [];
    const first = objectAt("a", "1");
    cache.put(first);
    cache.onChange((_key, now, before) => told.push([before?.metadata.uid, now?.metadata.uid]));
    cache.put(objectAt("a", "1"));
    cache.put(objectAt("a", "1", { uid: "another" }));
    cache.remove("default/a");
    cache.remove("default/a");
    assert.deepEqual(told, [
      ["uid of a", "another"],
      ["another", undefined],
    ]);
  });

  it("freezes what it holds, deeply", () => {
    cache.put(objectAt("a", "1", { labels: { tier: "web" } }));
    const labels = cache.get("default/a")?.metadata.labels ?? {};
    assert.throws(() => Object.assign(labels, { tier: "db" }), TypeError);
  });

  it("tells a change after it is there, and goes on when a listener throws", () => {
    const seen: (string | undefined)[] = [];
    cache.onChange(() => {
      throw new Error("a listener's own fault");
    });
    const end = cache.onChange((key) => seen.push(cache.get(key)?.metadata.resourceVersion));
    cache.put(objectAt("a", "1"));
    cache.put(objectAt("a", "2"));
    end();
    cache.put(objectAt("a", "3"));
    assert.deepEqual(seen, ["1", "2"]);
    assert.equal(context.lines.filter((line) => line.includes("a listener's own fault")).length, 3);
  });
});
