// Walks over keys, where only this driver can go wrong: names that are no text, subtrees of actors, values of any size.
import assert from "node:assert/strict";
import type { KeyRange, ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithEtcd } from "#test/servers/etcd.ts";
import { call, onOneServer, rawPut, VERSIONS, write } from "./fixture.ts";

const app: KeyRange = { scope: "app||", start: "app||" };

describeWithEtcd("a walk over etcd", () => {
  const { server, open } = onOneServer();

  /** All keys, and how many pages it took. */
  async function walk(store: Store, limit: number, values = false): Promise<[keys: string[], pages: number]> {
    const keys: string[] = [];
    let after: string | null = null;
    for (let pages = 1; ; pages++) {
      const page: ListPage | undefined = await store.list?.({ range: app, after, limit, values }, call);
      keys.push(...(page?.rows ?? []).map(({ key }) => key));
      after = page?.next ?? null;
      if (after === null) return [keys, pages];
    }
  }

  for (const version of VERSIONS) {
    it(`jumps over the state of an actor type in one step, in ${version}`, async () => {
      const store = await open(version, { keyPrefixPath: `jump-${version}` });
      const actors = Array.from({ length: 3000 }, (_, index) => `app||Type||${index}||state`);
      for (let at = 0; at < actors.length; at += 100)
        await Promise.all(actors.slice(at, at + 100).map((key) => store.set(write(key, "1"), call)));
      for (const key of ["app||A", "app||Z", "app||a|", "app||Type|"]) await store.set(write(key, "1"), call);
      const want = ["app||A", "app||Type|", "app||Z", "app||a|"];
      assert.deepEqual(await walk(store, 100), [want, 1]);
      assert.deepEqual((await walk(store, 1, true))[0], want);
    });
  }

  it("goes on where the last subtree ends the range", async () => {
    const store = await open("v1", { keyPrefixPath: "last" });
    await store.set(write("app||a", "1"), call);
    await store.set(write("app||b||x", "1"), call);
    await store.set(write("app|}", "1"), call);
    assert.deepEqual(await walk(store, 1), [["app||a"], 2]);
  });

  it("passes over names that are no text, and ends", async () => {
    const store = await open("v1", { keyPrefixPath: "raw" });
    for (let index = 0; index < 30; index++)
      await rawPut(server(), Buffer.concat([Buffer.from("raw/app||m"), Buffer.of(0xff, index)]), "1");
    await store.set(write("app||a", "1"), call);
    await store.set(write("app||\u{1f9fa}", "1"), call);
    for (const limit of [1, 2, 100]) assert.deepEqual((await walk(store, limit))[0], ["app||a", "app||\u{1f9fa}"]);
  });

  it("stays in its path", async () => {
    const store = await open("v1", { keyPrefixPath: "path" });
    await store.set(write("app||a", "1"), call);
    for (const name of ["path", "path/app|", "path/app|}", "path0/app||b", "pat/app||c"])
      await rawPut(server(), name, "1");
    assert.deepEqual((await walk(store, 10))[0], ["app||a"]);
  });

  it("gives pages with values that end by their bytes, and loses none", async () => {
    const store = await open("v2", { keyPrefixPath: "large" });
    const keys = Array.from({ length: 40 }, (_, index) => `app||${String(index).padStart(2, "0")}`);
    for (const key of keys) await store.set(write(key, "x".repeat(1_000_000)), call);
    const [told, pages] = await walk(store, 1000, true);
    assert.deepEqual(told, keys);
    assert.equal(pages, 5);
  });
});
