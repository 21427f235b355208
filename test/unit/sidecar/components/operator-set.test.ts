// What a sidecar has been given, over several streams.
import assert from "node:assert/strict";
import type { ResourceKind, ResourceMessage } from "#crds/distribution.ts";
import { BrokenStream } from "#sidecar/components/operator-lines.ts";
import { OperatorSet } from "#sidecar/components/operator-set.ts";

function message(name: string, version = 1, kind: ResourceKind = "Component"): ResourceMessage {
  return { type: "resource", kind, name, resource: { version }, secrets: [] };
}

describe("the operator's set", () => {
  let set: OperatorSet;
  const names = (): string[] => set.all("Component").map(({ name }) => name);

  beforeEach(() => {
    set = new OperatorSet();
    for (const name of ["b", "a"]) set.take(message(name));
    set.take({ type: "synced" });
  });

  it("counts from the end of the first full set on", () => {
    const fresh = new OperatorSet();
    assert.deepEqual([...fresh.take(message("a"))], []);
    assert.deepEqual([fresh.all("Component"), fresh.isWhole], [[], false]);
    assert.deepEqual([...fresh.take({ type: "synced" })], ["Component"]);
    assert.equal(fresh.isWhole, true);
  });

  it("is sorted by name, and follows changes and removals", () => {
    assert.deepEqual(names(), ["a", "b"]);
    assert.deepEqual([...set.take(message("c", 1, "Configuration"))], ["Configuration"]);
    assert.deepEqual([...set.take({ type: "removed", kind: "Component", name: "a" })], ["Component"]);
    assert.deepEqual(names(), ["b"]);
    assert.equal(set.find("Component", "c"), null);
    assert.deepEqual(set.find("Configuration", "c"), message("c", 1, "Configuration"));
  });

  it("takes an equal one for no change, and keeps the object that it has", () => {
    const before = set.find("Component", "a");
    assert.deepEqual([...set.take(message("a"))], []);
    assert.equal(set.find("Component", "a"), before);
    assert.deepEqual([...set.take(message("a", 2))], ["Component"]);
  });

  it("stays as it is while the next full set is coming, and loses then what that did not name", () => {
    set.begin();
    set.take(message("b"));
    set.take({ type: "removed", kind: "Component", name: "b" });
    set.take(message("c"));
    assert.deepEqual(names(), ["a", "b"]);
    set.begin();
    set.take(message("a"));
    assert.deepEqual([...set.take({ type: "synced" })], ["Component"]);
    assert.deepEqual(names(), ["a"]);
  });

  it("keeps what a line of the full set names that cannot be read", () => {
    set.begin();
    set.take({ type: "passed-over", kind: "Component", name: "a" });
    set.take({ type: "passed-over", kind: "Component", name: "never" });
    set.take({ type: "passed-over", kind: null, name: null });
    set.take({ type: "synced" });
    assert.deepEqual(names(), ["a"]);
  });

  it("breaks the stream rather than grow without end", () => {
    const many = (): void => {
      for (let count = 0; count < 6000; count++) set.take(message(`n${count}`));
    };
    set.begin();
    assert.throws(many, BrokenStream);
  });
});
