import assert from "node:assert/strict";
import fc from "fast-check";
import { OrderedKeys, placeOf } from "#sidecar/stores/in-memory/ordered-keys.ts";

/** A set of keys and its order side by side. */
class Both {
  readonly keys = new Set<string>();
  readonly order = new OrderedKeys();

  add(key: string): void {
    if (this.keys.has(key)) return;
    this.keys.add(key);
    this.order.add(key);
  }

  remove(key: string): void {
    if (this.keys.delete(key)) this.order.remove(this.keys.size);
  }

  sorted(): string[] {
    return this.order.sorted(this.keys).filter((key) => this.keys.has(key));
  }
}

function byBytes(keys: Iterable<string>): string[] {
  return [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

describe("ordered keys", () => {
  it("are all keys, each once, in order, whatever came and went", () => {
    const step = fc.record({
      key: fc.constantFrom("a", "b", "\u{10000}", "\uffff"),
      kind: fc.constantFrom("add", "remove", "walk"),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const both = new Both();
        for (const { key, kind } of steps) {
          if (kind === "add") both.add(key);
          else if (kind === "remove") both.remove(key);
          else assert.deepEqual(both.sorted(), byBytes(both.keys));
        }
        assert.deepEqual(both.sorted(), byBytes(both.keys));
      }),
    );
  });

  it("are given up when many have come and gone, so that they cannot grow beyond the keys there are", () => {
    const both = new Both();
    both.add("stays");
    both.sorted();
    for (let i = 0; i < 5000; i++) {
      both.add(`goes-${i}`);
      both.remove(`goes-${i}`);
    }
    assert.deepEqual(both.order.sorted(both.keys), ["stays"]);
  });

  it("have a place for every key, also for those that are not there", () => {
    const keys = ["b", "d", "\uffff", "\u{10000}"];
    assert.deepEqual(
      ["a", "b", "c", "\u{fffe}", "\u{10000}", "\u{10001}"].map((key) => placeOf(keys, key)),
      [0, 0, 1, 2, 3, 4],
    );
  });
});
