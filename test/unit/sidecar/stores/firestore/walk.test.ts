// Walks that the conformance suite cannot make: many actors' keys in between, answers that are cut short, entities that
// somebody else wrote in the way.
import assert from "node:assert/strict";
import { QueryResultBatch_MoreResultsType } from "#proto/gen/clients/google/datastore/v1/datastore.ts";
import type { How, Method } from "#sidecar/stores/google/client.ts";
import type { ListedRow, ListPage, Store } from "#sidecar/stores/store.ts";
import { describeWithDatastore } from "#test/servers/datastore.ts";
import { call, GoogleClient, onOneServer, upsert } from "./fixture.ts";

const range = { scope: "app||", start: "app||" };

async function fill(store: Store, keys: readonly string[], text: string): Promise<void> {
  const at = text.length > 1000 ? 5 : 500;
  for (let from = 0; from < keys.length; from += at)
    await store.transact?.(
      keys.slice(from, from + at).map((key) => upsert(key, text)),
      call,
    );
}

async function walk(store: Store, limit: number, values: boolean): Promise<{ rows: ListedRow[]; pages: number }> {
  const rows: ListedRow[] = [];
  let after: string | null = null;
  for (let pages = 1; ; pages++) {
    assert.ok(pages < 1000, "the walk does not end");
    const page: ListPage | undefined = await store.list?.({ range, after, limit, values }, call);
    assert.ok(page !== undefined && page.rows.length <= limit);
    rows.push(...page.rows);
    if (page.next === null) return { rows, pages };
    after = page.next;
  }
}

describeWithDatastore("a walk over Firestore's keys", () => {
  const { server, put, open, over } = onOneServer();
  beforeEach(async () => {
    const { status } = await fetch(`http://${server().address}/reset`, { method: "POST" });
    assert.equal(status, 200);
  });

  it("jumps over the state of actors, a type at a time", async () => {
    let queries = 0;
    class Counting extends GoogleClient {
      override ask<I, O>(method: Method<I, O>, message: I, how: How): Promise<O> {
        if (method.path.endsWith("/RunQuery")) queries++;
        return super.ask(method, message, how);
      }
    }
    const store = over((options) => new Counting(options));
    const actors = ["Account", "Zebra"].flatMap((type) =>
      Array.from({ length: 3000 }, (_, id) => `app||${type}||${id}||x`),
    );
    await fill(store, actors, "1");
    const own = ["app||A", "app||Account", "app||Order", "app||z"];
    await fill(store, own, "1");
    // Behind the end of the range, which is the server's to keep.
    const others = Array.from({ length: 500 }, (_, id) => `apq||${id}`);
    await fill(store, others, "1");
    queries = 0;
    const { rows, pages } = await walk(store, 100, false);
    assert.deepEqual([rows.map(({ key }) => key), pages], [own, 1]);
    assert.equal(queries, 3);
  });

  it("goes on in another page after many types of actors", async () => {
    const store = await open();
    const actors = Array.from({ length: 50 }, (_, type) => `app||T${String(type).padStart(2, "0")}||1||x`);
    await fill(store, [...actors, "app||a", "app||z"], "1");
    const { rows, pages } = await walk(store, 100, false);
    assert.deepEqual(
      rows.map(({ key }) => key),
      ["app||a", "app||z"],
    );
    assert.equal(pages, 3);
  });

  it("takes an answer that is short for its size for no end", async () => {
    const store = await open();
    const keys = Array.from({ length: 40 }, (_, index) => `app||big${String(index).padStart(2, "0")}`);
    await fill(store, keys, "x".repeat(600_000));
    // With the row with which it reaches 8 MiB, in the middle of an answer.
    const first = await store.list?.({ range, after: null, limit: 1000, values: true }, call);
    assert.equal(first?.rows.length, 14);
    const { rows, pages } = await walk(store, 1000, true);
    assert.deepEqual(
      rows.map(({ key }) => key),
      keys,
    );
    assert.equal(pages, 3);
  });

  it("asks again where an answer is cut before its first entity, and ends where each one is", async () => {
    let cuts = 1;
    class Cutting extends GoogleClient {
      override async ask<I, O>(method: Method<I, O>, message: I, how: How): Promise<O> {
        const answer = await super.ask(method, message, how);
        if (!method.path.endsWith("/RunQuery") || cuts-- <= 0) return answer;
        return { batch: { entityResults: [], moreResults: QueryResultBatch_MoreResultsType.NOT_FINISHED } } as O;
      }
    }
    const store = over((options) => new Cutting(options));
    await fill(store, ["app||a", "app||b"], "1");
    const { rows } = await walk(store, 10, false);
    assert.deepEqual(
      rows.map(({ key }) => key),
      ["app||a", "app||b"],
    );
    cuts = 1000;
    await assert.rejects(walk(store, 10, false), { code: "unavailable", message: /cuts every answer short/ });
    assert.equal(cuts, 980);
  });

  it("refuses a position that no page of the range has ended with", async () => {
    const store = await open();
    for (const after of ["", "b", "bother||a", "xapp||a", "app||a", `b${"app||".padEnd(1501, "k")}`])
      await assert.rejects(async () => store.list?.({ range, after, limit: 1, values: false }, call), {
        code: "refused",
        message: "the position of the page is none of this range",
      });
  });

  it("passes over entities with a parent, and says so where they stand in the way", async () => {
    const store = await open();
    await fill(store, ["app||a", "app||b"], "1");
    const child = (name: string): Promise<void> =>
      put(
        {
          path: [
            { kind: "DaprState", name: "app||a" },
            { kind: "DaprState", name },
          ],
        },
        {},
      );
    await child("c1");
    const { rows } = await walk(store, 10, false);
    assert.deepEqual(
      rows.map(({ key }) => key),
      ["app||a", "app||b"],
    );
    await child("c2");
    await assert.rejects(walk(store, 1, false), { code: "corrupt", message: /have a parent or a number/ });
  });
});
