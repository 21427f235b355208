// The suite's own test: it has to notice each store that is broken on purpose, and to pass the good one.
import assert from "node:assert/strict";
import { type BrokenStore, brokenSubject } from "./broken/broken-store.ts";
import { BROKEN_STORES } from "./broken/broken-stores.ts";
import { type Case, Stage } from "./case.ts";
import { inMemory } from "./in-memory.ts";
import type { Subject } from "./subject.ts";
import { CHAPTERS, chosen } from "./suite.ts";
import { surfaceOf } from "./surface.ts";

/** It holds on every broken store: each is wrong in one way, and not everywhere. */
const CONTROL = "gives back a struct";

/** A broken store in memory that has not answered by now never will. */
const LITTLE_PATIENCE_MS = 500;

function chosenCases(subject: Subject): readonly Case[] {
  return CHAPTERS.flatMap((chapter) => chosen(chapter, subject));
}

function caseNamed(name: string): Case {
  const found = chosenCases(inMemory).find((each) => each.name === name);
  assert.ok(found !== undefined, `the suite has no case "${name}" for this store`);
  return found;
}

/** What the case says about the subject; null when it passes. Each case gets a stage to itself. */
async function verdict(subject: Subject, each: Case, patienceMs?: number): Promise<unknown> {
  const stage = await Stage.start(subject, patienceMs);
  try {
    await stage.run(each);
    return null;
  } catch (error) {
    return error;
  } finally {
    // A broken store may refuse to close; the case has been judged by then.
    await stage.end().catch(() => undefined);
  }
}

async function expectCaught(broken: BrokenStore, name: string): Promise<void> {
  const error = await verdict(brokenSubject(broken), caseNamed(name), LITTLE_PATIENCE_MS);
  assert.ok(error !== null, `"${name}" passes on a store that ${broken.name}`);
  const isJudgement = error instanceof assert.AssertionError || (error instanceof Error && error.name === "StoreError");
  assert.ok(isJudgement, `"${name}" fails for a reason of its own: ${error}`);
}

describe("the conformance suite", function () {
  this.timeout(120_000);

  it("has no two cases of the same name", () => {
    const names = CHAPTERS.flatMap((chapter) => chapter.cases.map((each) => each.name));
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
  });

  it("passes the good store in every case", async () => {
    const failed = await Promise.all(
      chosenCases(inMemory).map(async (each) => {
        const error = await verdict(inMemory, each);
        return error === null ? [] : [`${each.name}: ${error}`];
      }),
    );
    assert.deepEqual(failed.flat(), []);
  });

  for (const broken of BROKEN_STORES) {
    it(`notices a store that ${broken.name}`, async () => {
      assert.equal(await verdict(brokenSubject(broken), caseNamed(CONTROL)), null);
      await Promise.all(broken.caughtBy.map((name) => expectCaught(broken, name)));
    });
  }

  it("holds an API to the keys that it must not take", async () => {
    const surface = { ...surfaceOf(inMemory), keysWithBars: "refused" } as const;
    const unguarded: Subject = { ...inMemory, surface };
    const each = chosenCases(unguarded).find(({ name }) => name.startsWith("refuses a key with two bars"));
    assert.ok(each !== undefined, "no case for keys with two bars");
    assert.match(String(await verdict(unguarded, each)), /get succeeded, want a rejection/);
  });

  it("holds a store to what it does not declare", async () => {
    const plain = { etag: false, transactions: false, ttl: false, list: false };
    const less: Subject = { ...inMemory, declares: { ...inMemory.declares, features: plain } };
    const refusing = ["has no transact", "answers no ETag", "answers no expiry"];
    for (const name of refusing) {
      const each = chosenCases(less).find((one) => one.name.startsWith(`${name}, as it declares`));
      assert.ok(each !== undefined, `no case "${name}" for a store without features`);
      assert.equal((await verdict(less, each)) === null, name === "answers no expiry", name);
    }
  });
});
