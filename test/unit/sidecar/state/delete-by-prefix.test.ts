import assert from "node:assert/strict";
import { type DeleteByPrefixRequest, type DeletedByPrefix, deleteByPrefix } from "#sidecar/state/delete-by-prefix.ts";
import { countKeys } from "#sidecar/state/walk.ts";
import { type KeyRange, StoreError } from "#sidecar/stores/store.ts";
import { call, type Over, type OverOptions, overMemory, saving } from "./over-memory.ts";

const PLAIN: DeleteByPrefixRequest = { prefix: "", all: false, limit: null };

function remove({ service }: Over, request: Partial<DeleteByPrefixRequest>): Promise<DeletedByPrefix> {
  return deleteByPrefix(service, "s", { ...PLAIN, ...request }, call);
}

async function filled(count: number, options: OverOptions = {}): Promise<Over> {
  const over = await overMemory(options);
  const keys = Array.from({ length: count }, (_, index) => `a${String(index).padStart(6, "0")}`);
  await over.service.save(
    "s",
    [...keys, "b"].map((key) => saving(key)),
    call,
  );
  return over;
}

const left = ({ service }: Over, prefix = ""): Promise<number> => countKeys(service, "s", prefix, call);

/** The ways in which a store can be asked to delete. */
const WAYS: Readonly<Record<string, OverOptions>> = {
  "by range": {},
  "row by row": { parts: () => ({ removeRange: undefined }) },
  "page by page": {
    parts: (store) => ({
      removeRange: undefined,
      removeListed: async (keys) => {
        assert.ok(keys.length <= 1000);
        for (const key of keys)
          await store.remove({ key, etag: null, firstWrite: false, strong: false, metadata: {} }, call);
        return keys.length;
      },
    }),
  },
};

describe("deleting by prefix", () => {
  for (const [way, options] of Object.entries(WAYS)) {
    it(`deletes ${way} what begins with the prefix, and says how many`, async () => {
      const over = await filled(2500, options);
      assert.deepEqual(await remove(over, { prefix: "a" }), { deleted: 2500, more: false });
      assert.deepEqual([await left(over, "a"), await left(over)], [0, 1]);
      assert.equal(over.counted.filter((each) => each === "delete_by_prefix true").length, 1);
    });

    it(`stops ${way} at the limit and says that there may be more`, async () => {
      const over = await filled(2500, options);
      assert.deepEqual(await remove(over, { prefix: "a", limit: 1200 }), { deleted: 1200, more: true });
      assert.equal(await left(over, "a"), 1300);
      assert.deepEqual(await remove(over, { prefix: "a", limit: 1300 + 1 }), { deleted: 1300, more: false });
    });
  }

  it("never asks the store for more than 1000 rows at a time", async () => {
    const limits: number[] = [];
    const over = await overMemory({
      parts: () => ({
        removeRange: async (_range: KeyRange, limit: number) => {
          limits.push(limit);
          return limit;
        },
      }),
    });
    assert.deepEqual(await remove(over, { prefix: "a", limit: 2300 }), { deleted: 2300, more: true });
    assert.deepEqual(limits, [1000, 1000, 300]);
    limits.length = 0;
    assert.equal((await remove(over, { prefix: "a" })).deleted, 10_000, "the usual limit");
  });

  it("asks no further when the store had fewer rows than it might delete", async () => {
    let steps = 0;
    const over = await overMemory({
      parts: () => ({
        removeRange: async () => {
          steps++;
          return 999;
        },
      }),
    });
    assert.deepEqual(await remove(over, { prefix: "a" }), { deleted: 999, more: false });
    assert.equal(steps, 1);
  });

  it("refuses an empty prefix unless all is meant, and all together with a prefix", async () => {
    const over = await filled(3);
    const refused = { code: "delete-by-prefix-failed", fault: "invalid" };
    await assert.rejects(remove(over, {}), { ...refused, message: /^prefix: got none.*"all": true/ });
    await assert.rejects(remove(over, { prefix: "a", all: true }), { ...refused, message: /^all: / });
    assert.equal(await left(over), 4);
    assert.deepEqual(await remove(over, { all: true }), { deleted: 4, more: false });
  });

  it("refuses a store without a key prefix unless its Component allows it", async () => {
    const over = await filled(3, { keyPrefix: "" });
    await assert.rejects(remove(over, { prefix: "a" }), {
      fault: "invalid",
      message: /no key prefix.*allowUnscopedDelete: "true"/,
    });
    await assert.rejects(remove(over, { all: true }), { message: /allowUnscopedDelete/ });
    assert.equal(await left(over), 4);
    const allowed = await overMemory({ keyPrefix: "", core: { allowUnscopedDelete: true }, store: over.store });
    assert.deepEqual(await remove(allowed, { prefix: "a" }), { deleted: 3, more: false });
  });

  it("leaves other applications' and actors' rows alone, also where it is allowed without a key prefix", async () => {
    const over = await filled(3);
    const bare = await filled(2, { keyPrefix: "", core: { allowUnscopedDelete: true }, store: over.store });
    assert.deepEqual(await remove(bare, { all: true }), { deleted: 3, more: false });
    assert.equal(await left(over), 4);
  });

  it("refuses a prefix with two bars, and a limit that is none", async () => {
    const over = await filled(3);
    await assert.rejects(remove(over, { prefix: "a||" }), { code: "illegal-key" });
    for (const limit of [0, 100_001, 0.5]) {
      await assert.rejects(remove(over, { prefix: "a", limit }), {
        fault: "invalid",
        message: /^limit: .*1 to 100000/,
      });
    }
    assert.equal(await left(over), 4);
  });

  it("says how many were deleted when the store fails in the middle", async () => {
    let steps = 0;
    const removeRange = async (_range: KeyRange, limit: number): Promise<number> => {
      if (++steps === 3) throw new StoreError("unavailable", "the server is gone");
      return limit;
    };
    const over = await overMemory({ parts: () => ({ removeRange }) });
    await assert.rejects(remove(over, { prefix: "a" }), {
      code: "delete-by-prefix-failed",
      fault: "failed",
      message: "failed deleting keys in state store s after 2000 were deleted: the server is gone",
    });
  });

  it("counts what it deleted row by row before one failed", async () => {
    const over = await filled(20, {
      parts: (store) => ({
        removeRange: undefined,
        remove: async (removal) => {
          if (removal.key.endsWith("7")) throw new StoreError("unavailable", "the server is gone");
          return store.remove(removal, call);
        },
      }),
    });
    await assert.rejects(remove(over, { prefix: "a" }), { message: /after 18 were deleted/ });
    assert.equal(await left(over, "a"), 2);
  });
});
