import assert from "node:assert/strict";
import { tooLong } from "#operator/kube/answer.ts";
import { RELIST_MS, WATCH_SILENCE_MAX_MS } from "#operator/kube/list-watch.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { Reflector } from "#operator/kube/reflector.ts";
import { settle } from "../../sidecar/resiliency/manual-clock.ts";
import { type Answer, failure, objectAt, page, type TestContext, testContext } from "./scripted-client.ts";

/** Longer than every wait between two attempts, in milliseconds. */
const A_MINUTE_MS = 60_000;
const GONE = { kind: "Status", code: 410, reason: "Expired", message: "too old resource version" };

describe("reflector", () => {
  let context: TestContext;
  let reflector: Reflector<KubeObject>;
  let told: string[];

  function begin(
    answer: Answer,
    more: { metadataOnly?: boolean; namespaces?: string[]; relistMs?: number } = {},
  ): void {
    context = testContext(answer);
    const { namespaces = [], metadataOnly = false, relistMs = RELIST_MS } = more;
    reflector = new Reflector(context, {
      apiVersion: "v1",
      plural: "configmaps",
      namespaces,
      metadataOnly,
      relistMs,
      trim: ({ metadata, kind = "" }) => {
        if (metadata.name === "odd") throw new Error("no way to trim this");
        return { kind, metadata };
      },
    });
    told = [];
    reflector.cache.onChange((key, now, before) => {
      const [from, to] = [before, now].map((each) => each?.metadata.resourceVersion ?? "-");
      told.push(`${key} ${from} ${to}`);
    });
    reflector.start();
  }

  /** Everything that only waits for promises, streams included, runs. */
  async function settled(): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await settle();
  }

  async function pass(ms: number): Promise<void> {
    await context.clock.advance(ms);
    await settled();
  }

  function listings(): number {
    return context.client.requests.filter(({ query }) => query?.continue === undefined).length;
  }

  afterEach(() => reflector.close());

  it("lists in pages and watches from the list's version, with bookmarks and a time limit", async () => {
    begin(({ query }) =>
      query?.continue === "next" ? page("7", [objectAt("b", "4")]) : page("7", [objectAt("a", "3")], "next"),
    );
    assert.equal(reflector.cache.synced, false);
    await settled();
    assert.equal(reflector.cache.synced, true);
    assert.deepEqual(told, ["default/a - 3", "default/b - 4"]);
    assert.equal(reflector.cache.get("default/b")?.kind, "ConfigMap");
    assert.deepEqual(
      context.client.requests.map(({ path, query }) => [path, query?.limit]),
      [
        ["/api/v1/configmaps", "500"],
        ["/api/v1/configmaps", "500"],
      ],
    );
    const { resourceVersion, allowWatchBookmarks, timeoutSeconds } = context.client.feed.query;
    assert.deepEqual([resourceVersion, allowWatchBookmarks, timeoutSeconds], ["7", "true", "435"]);
  });

  it("asks for metadata only, each in the form that lists and watches have for it", async () => {
    begin(() => page("1", []), { metadataOnly: true });
    await settled();
    assert.match(context.client.requests[0]?.accept ?? "", /as=PartialObjectMetadataList;/);
    assert.match(context.client.feed.accept, /as=PartialObjectMetadata;/);
  });

  it("joins several namespaces in one cache, and is synced when all are", async () => {
    const second = Promise.withResolvers<unknown>();
    begin(
      ({ path }) => (path.includes("/one/") ? page("1", [objectAt("a", "1", { namespace: "one" })]) : second.promise),
      { namespaces: ["one", "two", "one"] },
    );
    await settled();
    assert.equal(reflector.cache.synced, false);
    second.resolve(page("1", [objectAt("a", "1", { namespace: "two" })]));
    await settled();
    assert.equal(reflector.cache.synced, true);
    assert.deepEqual(
      [...reflector.cache.all()].map(({ metadata }) => metadata.namespace),
      ["one", "two"],
    );
    assert.equal(context.client.requests.length, 2);
  });

  it("tells each change once and goes on from the last bookmark when the server ends the watch", async () => {
    begin(() => page("1", [objectAt("a", "1")]));
    await settled();
    context.client.feed.event("MODIFIED", objectAt("a", "2"));
    context.client.feed.event("ADDED", objectAt("b", "3"));
    context.client.feed.event("DELETED", objectAt("a", "4"));
    context.client.feed.bookmark("9");
    await settled();
    assert.deepEqual(told, ["default/a - 1", "default/a 1 2", "default/b - 3", "default/a 2 -"]);
    context.client.feed.end();
    await settled();
    await pass(A_MINUTE_MS);
    assert.equal(context.client.feed.query.resourceVersion, "9");
    assert.equal(listings(), 1);
    assert.deepEqual(context.restarts, ["ended"]);
  });

  it("waits before it opens a watch again that the server ended at once, and not after one that lasted", async () => {
    begin(() => page("1", []));
    await settled();
    context.client.feed.end();
    await settled();
    assert.equal(context.client.feeds.length, 1);
    await pass(A_MINUTE_MS);
    assert.equal(context.client.feeds.length, 2);
    await pass(2_000);
    context.client.feed.end();
    await settled();
    await pass(0);
    assert.equal(context.client.feeds.length, 3);
  });

  for (const { what, strike, lists } of [
    { what: "an ERROR event of 410", strike: () => context.client.feed.event("ERROR", GONE), lists: 2 },
    { what: "a line that is no JSON", strike: () => context.client.feed.text("<html>\n"), lists: 2 },
    { what: "an event without an object", strike: () => context.client.feed.event("ADDED", null), lists: 2 },
    { what: "a cut within an object", strike: () => cutWithin(context), lists: 1 },
    { what: "an end within an object", strike: () => endWithin(context), lists: 1 },
  ]) {
    it(`${lists === 2 ? "lists again" : "goes on from where it was"} after ${what}`, async () => {
      begin(() => page("1", [objectAt("a", "1")]));
      await settled();
      context.client.feed.event("MODIFIED", objectAt("a", "5"));
      await settled();
      strike();
      await settled();
      await pass(A_MINUTE_MS);
      assert.equal(listings(), lists);
      assert.equal(context.client.feeds.length, 2);
      assert.equal(context.client.feed.query.resourceVersion, lists === 2 ? "1" : "5");
    });
  }

  it("lists again when the watch is answered 410", async () => {
    begin(() => page("1", []));
    context.client.refusals.push(failure(410, "gone"));
    await settled();
    await pass(A_MINUTE_MS);
    assert.deepEqual([listings(), context.client.feeds.length, context.restarts], [2, 1, ["gone"]]);
  });

  for (const status of [0, 401, 403, 404, 429, 500, 504]) {
    it(`tries again after ${status}, for the list as for the watch`, async () => {
      let refused = 0;
      begin(() => {
        if (refused++ < 2) throw failure(status, "no");
        return page("1", [objectAt("a", "1")]);
      });
      context.client.refusals.push(failure(status, "no"));
      await settled();
      for (let turn = 0; turn < 4; turn++) await pass(2_000);
      assert.equal(context.client.feeds.length, 1);
      assert.equal(listings(), 3);
      assert.equal(reflector.cache.synced, true);
    });
  }

  it("waits as long as the server asks for", async () => {
    begin(() => page("1", []));
    context.client.refusals.push(failure(429, "slow down", 20_000));
    await settled();
    await pass(19_999);
    assert.equal(context.client.feeds.length, 0);
    await pass(2_001);
    assert.equal(context.client.feeds.length, 1);
  });

  it("waits longer after each failure, up to half a minute, and lists again after five", async () => {
    begin(() => page("1", []));
    for (let i = 0; i < 12; i++) context.client.refusals.push(failure(500, "no"));
    await settled();
    for (let turn = 0; turn < 12; turn++) await pass(A_MINUTE_MS);
    const waits = context.lines.flatMap((line) => /retry_ms=(\d+)/.exec(line)?.[1] ?? []).map(Number);
    assert.deepEqual(waits.slice(0, 4), [150, 300, 600, 1200]);
    assert.equal(waits.at(-1), 22_500);
    assert.equal(listings(), 9);
  });

  it("cuts a watch on which nothing comes and goes on from its version", async () => {
    begin(() => page("1", []));
    await settled();
    context.client.feed.bookmark("2");
    await settled();
    await pass(WATCH_SILENCE_MAX_MS - 1);
    assert.equal(context.client.feed.isCut, false);
    context.client.feed.bookmark("3");
    await settled();
    await pass(WATCH_SILENCE_MAX_MS - 1);
    assert.equal(context.client.feeds.length, 1);
    await pass(1);
    assert.deepEqual([context.client.feeds.length, context.client.feeds[0]?.isCut], [2, true]);
    assert.equal(context.client.feed.query.resourceVersion, "3");
    assert.deepEqual(context.restarts, ["silence"]);
  });

  it("lists everything now and then, which repairs what the watch did not bring", async () => {
    let listed = page("1", [objectAt("a", "1"), objectAt("b", "1")]);
    begin(() => listed, { relistMs: 100_000 });
    await settled();
    told.length = 0;
    listed = page("9", [objectAt("b", "1"), objectAt("c", "8")]);
    await pass(100_000);
    assert.deepEqual(told, ["default/a 1 -", "default/c - 8"]);
    assert.equal(context.client.feed.query.resourceVersion, "9");
    assert.deepEqual(context.restarts, ["relist"]);
  });

  it("does not go on from a bookmark that lies behind what came", async () => {
    begin(() => page("1", []));
    await settled();
    for (const version of ["2", "3", "4"]) context.client.feed.event("MODIFIED", objectAt("a", version));
    context.client.feed.bookmark("2");
    context.client.feed.end();
    await settled();
    await pass(2_000);
    assert.equal(context.client.feed.query.resourceVersion, "4");
  });

  it("does not go back in time when a watch repeats what came, from a bookmark of which that does not show", async () => {
    begin(() => page("1", []));
    await settled();
    for (const version of ["2", "3", "4"]) context.client.feed.event("MODIFIED", objectAt("a", version));
    context.client.feed.event("DELETED", objectAt("a", "5"));
    context.client.feed.bookmark("of another resource");
    context.client.feed.end();
    await settled();
    await pass(2_000);
    assert.equal(context.client.feed.query.resourceVersion, "of another resource");
    told.length = 0;
    for (const version of ["3", "4"]) context.client.feed.event("MODIFIED", objectAt("a", version));
    context.client.feed.event("DELETED", objectAt("a", "5"));
    context.client.feed.event("ADDED", objectAt("a", "6", { uid: "another" }));
    await settled();
    assert.deepEqual(told, ["default/a - 6"]);
  });

  it("takes an event for new that a list since has taken back", async () => {
    let listed = page("1", []);
    begin(() => listed, { relistMs: 10_000 });
    await settled();
    context.client.feed.event("ADDED", objectAt("a", "2"));
    await settled();
    listed = page("1", []);
    await pass(10_000);
    context.client.feed.event("ADDED", objectAt("a", "2"));
    await settled();
    assert.deepEqual(told, ["default/a - 2", "default/a 2 -", "default/a - 2"]);
  });

  it("asks for smaller pages where one is too long, from the same place, and gives up on one object that is", async () => {
    let longest = 3;
    begin(({ query }) => {
      const from = Number(query?.continue ?? 0);
      const limit = Number(query?.limit);
      if (limit > longest) throw tooLong("GET: the answer is longer than is read");
      const names = ["a", "b", "c", "d", "e"].slice(from, from + limit);
      return page(
        "7",
        names.map((name) => objectAt(name, "1")),
        from + limit < 5 ? String(from + limit) : undefined,
      );
    });
    await settled();
    assert.equal(reflector.cache.synced, true);
    assert.equal([...reflector.cache.all()].length, 5);
    longest = 0;
    await pass(2 * RELIST_MS);
    assert.ok(context.client.requests.some(({ query }) => query?.limit === "1"));
    assert.equal([...reflector.cache.all()].length, 5, "what is known stays");
  });

  it("begins a list again whose place between two pages was forgotten", async () => {
    let asked = 0;
    begin(({ query }) => {
      asked++;
      if (query?.continue === undefined) return page(String(asked), [objectAt("a", String(asked))], "next");
      if (asked < 4) throw failure(410, "the continue token is too old");
      return page(String(asked), [objectAt("b", "1")]);
    });
    await settled();
    assert.deepEqual(told, ["default/a - 3", "default/b - 1"]);
    assert.equal(context.client.feed.query.resourceVersion, "4");
  });

  it("takes a list without items or version for a failure, and keeps what it had", async () => {
    let answer: unknown = page("1", [objectAt("a", "1")]);
    begin(() => answer, { relistMs: 10_000 });
    await settled();
    for (const broken of [{ kind: "Status" }, page("", []), page("2", [{ metadata: {} }]), page("2", [null])]) {
      answer = broken;
      await pass(A_MINUTE_MS);
      assert.ok(reflector.cache.get("default/a") !== undefined, JSON.stringify(broken));
    }
    answer = page("3", []);
    await pass(A_MINUTE_MS);
    assert.equal(reflector.cache.get("default/a"), undefined);
  });

  it("takes a list without end for a failure instead of stopping within it", async () => {
    const many = Array.from({ length: 10_000 }, (_, nth) => objectAt(`map-${nth}`, "1"));
    begin(() => page("1", many, "always more"));
    for (let turn = 0; turn < 10; turn++) await settled();
    assert.equal(reflector.cache.synced, false);
    assert.match(context.lines.join(""), /more than 200000 objects/);
  });

  it("leaves out an object that cannot be trimmed, says so, and takes in the others", async () => {
    begin(() => page("1", [objectAt("odd", "1"), objectAt("a", "1")]));
    await settled();
    context.client.feed.event("ADDED", objectAt("odd", "2"));
    context.client.feed.event("ADDED", objectAt("b", "3"));
    await settled();
    assert.deepEqual(told, ["default/a - 1", "default/b - 3"]);
    assert.equal(context.lines.filter((line) => line.includes("no way to trim this")).length, 2);
  });

  it("says for how long the API server gave no sign of life", async () => {
    begin(() => page("1", []));
    await settled();
    await pass(1_000);
    assert.equal(reflector.stalledForMs(), 1_000);
    context.client.feed.bookmark("2");
    await settled();
    assert.equal(reflector.stalledForMs(), 0);
    context.client.answer = () => {
      throw failure(403, "no");
    };
    context.client.feed.event("ERROR", GONE);
    await settled();
    await pass(600_000);
    assert.equal(reflector.stalledForMs(), 600_000);
  });

  it("leaves no timer behind when it is closed", async () => {
    begin(() => page("1", []));
    await settled();
    await reflector.close();
    assert.equal(context.clock.timers, 0);
    assert.equal(context.client.feed.isCut, true);
  });
});

function cutWithin({ client }: TestContext): void {
  client.feed.text('{"type":"ADDED","obj');
  client.feed.fail(failure(0, "socket hang up"));
}

function endWithin({ client }: TestContext): void {
  client.feed.text('{"type":"ADDED","obj');
  client.feed.end();
}
