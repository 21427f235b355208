// Proves the reference model by hand: whatever it gets wrong, every store would be held to.
import assert from "node:assert/strict";
import { Model, NO_VERSION } from "./model.ts";

describe("the reference model", () => {
  it("applies a list of changes in order", () => {
    const model = new Model("conflict");
    const put = { key: "a", value: "1", condition: "none" } as const;
    assert.equal(model.apply([put, { ...put, value: "2" }, { key: "b", value: "1", condition: "none" }]), true);
    assert.equal(model.get("a")?.value, "2");
    assert.equal(model.apply([{ key: "a", value: null, condition: "none" }]), true);
    assert.equal(model.get("a"), null);
    assert.equal(model.get("b")?.value, "1");
  });

  it("changes nothing when one condition does not hold", () => {
    const model = new Model("conflict");
    const bad = { key: "b", value: "1", condition: { version: NO_VERSION } } as const;
    assert.equal(model.apply([{ key: "a", value: "1", condition: "none" }, bad]), false);
    assert.equal(model.get("a"), null);
  });

  it("gives every write a version of its own and holds conditions to the current one", () => {
    const model = new Model("conflict");
    model.apply([{ key: "a", value: "1", condition: "first-write" }]);
    const version = model.get("a")?.version ?? NO_VERSION;
    assert.equal(model.apply([{ key: "a", value: "2", condition: { version } }]), true);
    assert.equal(model.apply([{ key: "a", value: "3", condition: { version } }]), false);
    assert.equal(model.apply([{ key: "a", value: null, condition: { version } }]), false);
    assert.equal(model.get("a")?.value, "2");
  });

  it("compares conditions with the state before the first change", () => {
    const model = new Model("conflict");
    model.apply([{ key: "a", value: "1", condition: "none" }]);
    const condition = { version: model.get("a")?.version ?? NO_VERSION };
    const twice = [
      { key: "a", value: null, condition },
      { key: "a", value: "2", condition },
    ];
    assert.equal(model.apply(twice), true);
    assert.equal(model.get("a")?.value, "2");
  });

  it("refuses a first-write delete of a value or takes it as a plain one, as it is told", () => {
    for (const trait of ["conflict", "ignored"] as const) {
      const model = new Model(trait);
      model.apply([{ key: "a", value: "1", condition: "first-write" }]);
      assert.equal(model.apply([{ key: "a", value: "2", condition: "first-write" }]), false);
      assert.equal(model.apply([{ key: "a", value: null, condition: "first-write" }]), trait === "ignored");
      assert.equal(model.apply([{ key: "missing", value: null, condition: "first-write" }]), true);
    }
  });
});
