// Walks over keys, where only this driver can go wrong: subtrees of actors, characters beyond the first plane, bare keys.
import assert from "node:assert/strict";
import type { KeyRange, ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithSpanner } from "#test/servers/spanner.ts";
import { call, onOneServer, upsert, write } from "./fixture.ts";

const app: KeyRange = { scope: "app||", start: "app||" };

describeWithSpanner("a walk over Spanner", () => {
  const { open } = onOneServer();

  /** All keys, and how many pages it took. */
  async function walk(
    store: Store,
    limit: number,
    range = app,
    values = false,
  ): Promise<[keys: string[], pages: number]> {
    const keys: string[] = [];
    let after: string | null = null;
    for (let pages = 1; ; pages++) {
      const page: ListPage | undefined = await store.list?.({ range, after, limit, values }, call);
      keys.push(...(page?.rows ?? []).map(({ key }) => key));
      after = page?.next ?? null;
      if (after === null) return [keys, pages];
    }
  }

  it("jumps over the state of an actor type in one step", async () => {
    const store = await open({ tableName: "jump" });
    const actors = Array.from({ length: 3000 }, (_, index) => upsert(`app||Type||${index}||state`, "1"));
    await store.transact?.(actors, call);
    for (const key of ["app||A", "app||Z", "app||a|", "app||Type|"]) await store.set(write(key, "1"), call);
    const want = ["app||A", "app||Type|", "app||Z", "app||a|"];
    assert.deepEqual(await walk(store, 100), [want, 1]);
    assert.deepEqual((await walk(store, 1, app, true))[0], want);
  });

  it("ends where the last subtree ends the range", async () => {
    const store = await open({ tableName: "last" });
    for (const key of ["app||a", "app||b||x", "app|}"]) await store.set(write(key, "1"), call);
    assert.deepEqual((await walk(store, 1))[0], ["app||a"]);
  });

  it("refuses a position that is none, half a surrogate pair among them", async () => {
    const store = await open();
    for (const after of ["", "app||a", "xapp||a", "bother", "bapp||\ud800"])
      await assert.rejects(async () => store.list?.({ range: app, after, limit: 1, values: false }, call), {
        code: "refused",
      });
  });

  it("gives short pages among many types, and loses nothing", async () => {
    const store = await open({ tableName: "types" });
    const types = Array.from({ length: 60 }, (_, index) => upsert(`app||T${100 + index}||1||state`, "1"));
    await store.transact?.([...types, upsert("app||U", "1")], call);
    const [keys, pages] = await walk(store, 10);
    assert.deepEqual(keys, ["app||U"]);
    assert.ok(pages > 1, "a page has no bound");
  });

  it("orders as UTF-8 does, also beyond the first plane, and goes over bare keys to the end of the table", async () => {
    const store = await open({ tableName: "bare" });
    const want = ["", "a", "\u{e000}", "\u{ffff}", "\u{1f9fa}", "\u{10ffff}"];
    for (const key of want.toReversed()) await store.set(write(key, "1"), call);
    for (const limit of [1, 3, 100]) assert.deepEqual((await walk(store, limit, { scope: "", start: "" }))[0], want);
  });
});
