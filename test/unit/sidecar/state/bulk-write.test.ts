import assert from "node:assert/strict";
import { deleteEach, type ItemOutcome, saveEach } from "#sidecar/state/bulk-write.ts";
import type { SaveRequest } from "#sidecar/state/requests.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { call, deleting, overMemory, saving } from "./over-memory.ts";

const FIRST_WRITE = { concurrency: "first-write", consistency: "" };

function shown(outcomes: readonly ItemOutcome[]): readonly unknown[] {
  return outcomes.map(({ key, error }) => [key, error === null ? null : `${error.code} ${error.fault}`]);
}

describe("saving each item by itself", () => {
  it("writes what it can and tells each item's outcome in order", async () => {
    const over = await overMemory();
    await over.service.save("s", [saving("there")], call);
    const outcomes = await saveEach(
      over.service,
      "s",
      [
        saving("new"),
        saving("there", { options: FIRST_WRITE }),
        saving("x||y"),
        saving("late", { metadata: { ttlInSeconds: "soon" } }),
        saving("word", { options: { concurrency: "maybe", consistency: "" } }),
        saving("last"),
      ],
      call,
    );
    assert.deepEqual(shown(outcomes), [
      ["new", null],
      ["there", "save-failed conflict"],
      ["x||y", "illegal-key invalid"],
      ["late", "save-failed invalid"],
      ["word", "save-failed invalid"],
      ["last", null],
    ]);
    assert.match(outcomes[1]?.error?.message ?? "", /^failed saving state in state store s: possible etag mismatch/);
    for (const key of ["new", "last"]) {
      assert.notEqual(await over.service.get("s", { key, consistency: "", metadata: {} }, call), null);
    }
    assert.deepEqual(over.counted.slice(0, 2), ["set true", "set false"]);
  });

  it("writes items of one key in their order, also when an earlier one is refused", async () => {
    const over = await overMemory();
    const item = (text: string, parts: Partial<SaveRequest> = {}) =>
      saving("k", { bytes: Buffer.from(text), ...parts });
    const outcomes = await saveEach(over.service, "s", [item("1"), item("2", { etag: "stale" }), item("3")], call);
    assert.deepEqual(
      outcomes.map(({ error }) => error?.fault ?? null),
      [null, "conflict", null],
    );
    const found = await over.service.get("s", { key: "k", consistency: "", metadata: {} }, call);
    assert.equal(Buffer.from(found?.bytes ?? []).toString(), "3");
  });

  it("says of which items nobody knows whether they were written", async () => {
    const codes = { lost: "unknown-outcome", late: "timeout", down: "unavailable" } as const;
    const over = await overMemory({
      parts: () => ({
        set: async ({ key }) => {
          const code = Object.entries(codes).find(([name]) => key.endsWith(name))?.[1];
          if (code !== undefined) throw new StoreError(code, `it is ${code}`);
        },
      }),
    });
    const items = ["fine", "lost", "late", "down"].map((key) => saving(key));
    const outcomes = await saveEach(over.service, "s", items, call);
    assert.deepEqual(
      outcomes.map(({ key, mayHaveHappened }) => [key, mayHaveHappened]),
      [
        ["fine", false],
        ["lost", true],
        ["late", true],
        ["down", false],
      ],
    );
    assert.deepEqual(shown(outcomes).slice(1), [
      ["lost", "save-failed failed"],
      ["late", "save-failed failed"],
      ["down", "save-failed failed"],
    ]);
  });

  it("honours each item's own retries", async () => {
    let calls = 0;
    const over = await overMemory({
      parts: () => ({
        set: async () => {
          if (++calls < 3) throw new StoreError("unavailable", "not yet");
        },
      }),
    });
    const retry = { intervalMs: 1, pattern: "linear", threshold: 3 } as const;
    const [outcome] = await saveEach(over.service, "s", [saving("k", { retry })], call);
    assert.deepEqual([outcome?.error, calls], [null, 3]);
  });

  it("does nothing for no items, and refuses too many", async () => {
    const over = await overMemory();
    assert.deepEqual(await saveEach(over.service, "s", [], call), []);
    const many = new Array(100_001).fill(saving("k"));
    await assert.rejects(saveEach(over.service, "s", many, call), { code: "save-failed", fault: "invalid" });
    await assert.rejects(deleteEach(over.service, "s", many, call), { code: "bulk-delete-failed", fault: "invalid" });
  });

  it("passes on what is a fault of ours", async () => {
    const set = async (): Promise<void> => {
      throw new TypeError("a bug");
    };
    const over = await overMemory({ parts: () => ({ set }) });
    await assert.rejects(saveEach(over.service, "s", [saving("k")], call), TypeError);
  });
});

describe("deleting each item by itself", () => {
  it("deletes what it can and tells each item's outcome in order", async () => {
    const over = await overMemory();
    await over.service.save("s", [saving("a"), saving("b")], call);
    const items = [
      deleting("a"),
      deleting("b", { etag: "stale" }),
      deleting("never"),
      deleting("gone", { etag: "x" }),
      deleting("||"),
    ];
    assert.deepEqual(shown(await deleteEach(over.service, "s", items, call)), [
      ["a", null],
      ["b", "delete-failed conflict"],
      ["never", null],
      ["gone", "delete-failed conflict"],
      ["||", "illegal-key invalid"],
    ]);
    assert.equal(over.counted.at(-1), "bulk_delete false");
  });
});

describe("a bulk delete with one answer", () => {
  it("joins what failed into one error, and has deleted the others", async () => {
    const over = await overMemory();
    await over.service.save("s", [saving("a"), saving("b")], call);
    const items = [deleting("a"), deleting("b", { etag: "stale" }), deleting("c", { etag: "stale" })];
    await assert.rejects(over.service.bulkDelete("s", items, call), {
      code: "bulk-delete-failed",
      fault: "conflict",
      message: /^failed deleting state in state store s: 2 of 3 items failed: key "b": /,
    });
    assert.equal(await over.service.get("s", { key: "a", consistency: "", metadata: {} }, call), null);
  });

  it("gives the item's own error when there is one item only, as a save does", async () => {
    const over = await overMemory();
    const conflict = {
      fault: "conflict",
      message: /^failed (saving|deleting) state in state store s: possible etag mismatch/,
    };
    await assert.rejects(over.service.bulkDelete("s", [deleting("a", { etag: "stale" })], call), conflict);
    await assert.rejects(over.service.save("s", [saving("a", { etag: "stale" })], call), conflict);
  });

  it("checks all items before it deletes the first", async () => {
    const over = await overMemory();
    await over.service.save("s", [saving("a")], call);
    await assert.rejects(over.service.bulkDelete("s", [deleting("a"), deleting("||")], call), { code: "illegal-key" });
    assert.notEqual(await over.service.get("s", { key: "a", consistency: "", metadata: {} }, call), null);
  });
});
