import assert from "node:assert/strict";
import { deleteByPrefix } from "#sidecar/state/delete-by-prefix.ts";
import { countKeys, type ListKeysRequest, listKeys } from "#sidecar/state/walk.ts";
import { LIST_BYTES_MAX, type ListPage, type ListRequest, type Store, StoreError } from "#sidecar/stores/store.ts";
import { call, type Over, overMemory, saving } from "./over-memory.ts";

const PLAIN: ListKeysRequest = { prefix: "", limit: null, token: "", values: false, bytesMax: 0 };

async function fill({ service }: Over, keys: readonly string[], store = "s"): Promise<void> {
  await service.save(
    store,
    keys.map((key) => saving(key)),
    call,
  );
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `k${String(index).padStart(6, "0")}`);
}

async function keysOf({ service }: Over, request: Partial<ListKeysRequest> = {}): Promise<readonly string[]> {
  const { items } = await listKeys(service, "s", { ...PLAIN, ...request }, call);
  return items.map(({ key }) => key);
}

/** A store without an order that tells every key of `pages` as it stands there. */
function telling(pages: readonly (readonly string[])[]): Partial<Record<keyof Store, unknown>> {
  return {
    count: undefined,
    traits: { listOrder: "none" },
    list: async ({ after }: ListRequest): Promise<ListPage> => {
      const at = Number(after ?? 0);
      const rows = (pages[at] ?? []).map((key) => ({ key: `app||${key}`, found: null }));
      return { rows, next: at + 1 < pages.length ? String(at + 1) : null };
    },
  };
}

const unordered = (pages: readonly (readonly string[])[]): Promise<Over> =>
  overMemory({ parts: () => telling(pages) as Partial<Store> });

describe("listing keys", () => {
  it("gives the keys of the caller's own prefix, without it", async () => {
    const over = await overMemory();
    const other = await overMemory({ keyPrefix: "other||", store: over.store });
    await fill(over, ["b", "a", "ab"]);
    await fill(other, ["a", "theirs"]);
    assert.deepEqual(await keysOf(over), ["a", "ab", "b"]);
    assert.deepEqual(await keysOf(over, { prefix: "a" }), ["a", "ab"]);
    assert.deepEqual(await keysOf(other), ["a", "theirs"]);
  });

  it("never shows rows of applications and actors to a store of bare keys", async () => {
    const over = await overMemory();
    const bare = await overMemory({ keyPrefix: "", store: over.store });
    await fill(over, ["a"]);
    await fill(bare, ["mine", "app|"]);
    assert.deepEqual(await keysOf(bare), ["app|", "mine"]);
    assert.deepEqual(await keysOf(bare, { prefix: "app" }), ["app|"]);
  });

  it("refuses a prefix with two bars as an illegal key, which would reach into another scope", async () => {
    const over = await overMemory({ keyPrefix: "" });
    await assert.rejects(keysOf(over, { prefix: "app||" }), { code: "illegal-key", fault: "invalid" });
    await assert.rejects(countKeys(over.service, "s", "app||a", call), { code: "illegal-key" });
  });

  it("pages by the limit: 100 by default, 1 to 1000", async () => {
    const over = await overMemory();
    const keys = numbered(1100);
    await fill(over, keys);
    assert.deepEqual(await keysOf(over), keys.slice(0, 100));
    assert.deepEqual(await keysOf(over, { limit: 1000 }), keys.slice(0, 1000));
    for (const limit of [0, -1, 1001, 1.5, Number.NaN]) {
      await assert.rejects(keysOf(over, { limit }), {
        code: "list-failed",
        fault: "invalid",
        message: /^limit: got .*1 to 1000/,
      });
    }
  });

  it("goes on by the token, which is null after the last page", async () => {
    const over = await overMemory();
    const keys = numbered(7);
    await fill(over, keys);
    const seen: string[] = [];
    let token = "";
    for (let page = 0; page < 3; page++) {
      const answer = await listKeys(over.service, "s", { ...PLAIN, limit: 3, token }, call);
      seen.push(...answer.items.map(({ key }) => key));
      token = answer.token ?? "end";
    }
    assert.deepEqual(seen, keys);
    assert.equal(token, "end");
  });

  it("refuses a token of another store, prefix or application, and an altered one, and names the field", async () => {
    const over = await overMemory();
    await fill(over, ["a1", "a2", "b1"]);
    const { token } = await listKeys(over.service, "s", { ...PLAIN, prefix: "a", limit: 1 }, call);
    assert.ok(token !== null);
    const refused = { code: "list-failed", fault: "invalid", message: /^token: / };
    assert.deepEqual(await keysOf(over, { prefix: "a", token }), ["a2"]);
    await assert.rejects(keysOf(over, { prefix: "", token }), refused);
    await assert.rejects(keysOf(over, { prefix: "b", token }), refused);
    await assert.rejects(keysOf(over, { prefix: "a", token: `${token}x` }), refused);
    const elsewhere = await overMemory({ keyPrefix: "other||", store: over.store });
    await assert.rejects(keysOf(elsewhere, { prefix: "a", token }), refused);
    const renamed = await overMemory({ name: "t", store: over.store });
    await assert.rejects(listKeys(renamed.service, "t", { ...PLAIN, prefix: "a", token }, call), refused);
  });

  it("takes a token of a replica", async () => {
    const over = await overMemory();
    const replica = await overMemory({ store: over.store });
    await fill(over, ["a1", "a2"]);
    const { token } = await listKeys(over.service, "s", { ...PLAIN, limit: 1 }, call);
    assert.deepEqual(await keysOf(replica, { token: token ?? "" }), ["a2"]);
  });

  it("blames the token for a position that the store refuses", async () => {
    const refusing = async ({ after }: ListRequest): Promise<ListPage> => {
      if (after !== null) throw new StoreError("refused", "none of mine");
      return { rows: [], next: "x" };
    };
    const over = await overMemory({ parts: () => ({ list: refusing }) });
    let asked = 0;
    const first = await overMemory({
      parts: () => ({ list: async () => ({ rows: [{ key: "app||k", found: null }], next: asked++ < 9 ? "x" : null }) }),
    });
    const { token } = await listKeys(first.service, "s", { ...PLAIN, limit: 1 }, call);
    await assert.rejects(keysOf(over, { token: token ?? "" }), { fault: "invalid", message: /^token: / });
  });

  it("gives values, ETags and expiry when asked", async () => {
    const over = await overMemory();
    await fill(over, ["a"]);
    const [plain] = (await listKeys(over.service, "s", PLAIN, call)).items;
    assert.equal(plain?.found, null);
    const [item] = (await listKeys(over.service, "s", { ...PLAIN, values: true }, call)).items;
    assert.equal(Buffer.from(item?.found?.bytes ?? []).toString(), '"a"');
    assert.equal(typeof item?.found?.etag, "string");
  });

  it("opens encrypted values, and tells the one that no key opens as that row's error", async () => {
    const cipher = {
      seal: (bytes: Uint8Array) => Buffer.from(bytes).reverse(),
      open: (bytes: Uint8Array) => {
        if (bytes.length > 3) throw new StoreError("corrupt", "no key of this Component opens it");
        return Buffer.from(bytes).reverse();
      },
    };
    const over = await overMemory({ core: { cipher } });
    await fill(over, ["a", "long"]);
    const { items } = await listKeys(over.service, "s", { ...PLAIN, values: true }, call);
    assert.deepEqual(
      items.map(({ key, found, error }) => [key, found === null ? null : Buffer.from(found.bytes).toString(), error]),
      [
        ["a", '"a"', null],
        ["long", null, "no key of this Component opens it"],
      ],
    );
  });

  it("ends a page before its values can have more bytes than asked for", async () => {
    const over = await overMemory();
    const bytes = Buffer.alloc(LIST_BYTES_MAX / 2, "1");
    const keys = numbered(20);
    await over.service.save(
      "s",
      keys.map((key) => saving(key, { bytes })),
      call,
    );
    const rows = async (bytesMax: number): Promise<number> =>
      (await keysOf(over, { limit: 1000, values: true, bytesMax })).length;
    assert.equal(await rows(0), 16, "eight pages of the store");
    assert.equal(await rows(LIST_BYTES_MAX * 3), 6);
    assert.equal(await rows(1), 2, "one page of the store at least");
    assert.equal((await keysOf(over, { limit: 1000, bytesMax: 1 })).length, 20, "keys alone have no such limit");
  });

  it("puts short pages of the store together, and gives up after a few", async () => {
    const over = await unordered([["a"], [], ["b"], ["c"], [], [], [], [], ["d"]]);
    const first = await listKeys(over.service, "s", PLAIN, call);
    assert.deepEqual(
      first.items.map(({ key }) => key),
      ["a", "b", "c"],
    );
    const rest = await keysOf(over, { token: first.token ?? "" });
    assert.deepEqual(rest, ["d"]);
    assert.deepEqual(over.counted, ["list true", "list true"]);
  });

  it("names the store when it cannot walk", async () => {
    const over = await overMemory({
      parts: ({ features }) => ({ features: { ...features, list: false }, list: undefined }),
    });
    const refused = {
      code: "list-not-supported",
      message: "state store s (state.in-memory) cannot walk over its keys",
    };
    await assert.rejects(keysOf(over), refused);
    await assert.rejects(countKeys(over.service, "s", "", call), refused);
  });

  it("tells a failure of the store as such", async () => {
    const list = async (): Promise<ListPage> => {
      throw new StoreError("unavailable", "the server is gone");
    };
    const over = await overMemory({ parts: () => ({ list }) });
    await assert.rejects(keysOf(over), {
      code: "list-failed",
      fault: "failed",
      message: "failed listing keys in state store s: the server is gone",
    });
    assert.deepEqual(over.counted, ["list false"]);
  });
});

describe("counting keys", () => {
  it("asks the store when it can count", async () => {
    const over = await overMemory();
    await fill(over, ["a", "ab", "b"]);
    assert.equal(await countKeys(over.service, "s", "a", call), 2);
    assert.equal(await countKeys(over.service, "s", "", call), 3);
    assert.deepEqual(over.counted.slice(1), ["count true", "count true"]);
  });

  it("walks to the end in a store that cannot", async () => {
    const over = await overMemory({ parts: () => ({ count: undefined }) });
    await fill(over, numbered(2500));
    assert.equal(await countKeys(over.service, "s", "k", call), 2500);
  });

  it("counts a key once that the store tells twice", async () => {
    const over = await unordered([["a", "b"], ["b", "c"], ["a"]]);
    assert.equal(await countKeys(over.service, "s", "", call), 3);
  });

  it("ends with an error, and not with a wrong number, when there are too many keys to tell apart", async () => {
    let page = 0;
    const list = async (): Promise<ListPage> => {
      page++;
      const rows = Array.from({ length: 1000 }, (_, index) => ({ key: `app||${page}-${index}`, found: null }));
      return { rows, next: "on" };
    };
    const over = await overMemory({
      parts: ({ traits }) => ({ count: undefined, list, traits: { ...traits, listOrder: "none" } }),
    });
    await assert.rejects(countKeys(over.service, "s", "", call), {
      code: "count-failed",
      fault: "invalid",
      message: /more than 1000000 keys.*longer prefixes/,
    });
    assert.equal(page, 1001);
  }).timeout(120_000);

  it("ends with an error where the store has pages without end, and none of them a key of the prefix", async () => {
    for (const [listOrder, pagesMax] of [
      ["none", 2000],
      ["key", 10_000],
    ] as const) {
      let pages = 0;
      const list = async (): Promise<ListPage> => {
        pages++;
        return { rows: [], next: "on" };
      };
      const over = await overMemory({
        parts: ({ traits }) => ({ count: undefined, removeRange: undefined, list, traits: { ...traits, listOrder } }),
      });
      const message = new RegExp(`walked ${pagesMax} pages`);
      await assert.rejects(countKeys(over.service, "s", "", call), { code: "count-failed", fault: "invalid", message });
      assert.equal(pages, pagesMax);
      const request = { prefix: "cart-", all: false, limit: null };
      await assert.rejects(deleteByPrefix(over.service, "s", request, call), {
        code: "delete-by-prefix-failed",
        message,
      });
      assert.equal(pages, 2 * pagesMax);
    }
  }).timeout(120_000);
});
