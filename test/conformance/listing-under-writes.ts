// Conformance: walks over keys while others write. A key that is there all the time is told, in its order, whatever comes
// and goes between the pages. A failed property prints its seed; PANNIER_TEST_SEED=<seed> runs the same again.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import fc from "fast-check";
import { type Case, type Context, caseFor } from "./case.ts";
import { call, removal } from "./requests.ts";
import { canList } from "./subject.ts";
import { byBytes, listPage, numbered, rangeOf, setAll, told } from "./walking.ts";

const MANY = 250;

export const underWrites: readonly Case[] = [
  caseFor(canList, "tells the keys that stay while others come and go between the pages", async (context) => {
    const stays = numbered(MANY, "stays-");
    const goes = numbered(MANY, "goes-");
    await setAll(context, [...stays, ...goes]);
    let turn = 0;
    const between = async (): Promise<void> => {
      // Two go for one that comes: what counts rows must notice.
      const gone = goes.slice(turn * 2, turn * 2 + 2);
      for (const each of gone) await context.store.remove(removal(context.key(each)), call());
      await setAll(context, [`comes-${String(turn).padStart(5, "0")}`]);
      turn++;
    };
    const keys = await told(context, rangeOf(context), { limit: 7, between });
    assert.deepEqual(
      keys.filter((key) => key.startsWith("stays-")),
      stays,
    );
  }),

  caseFor(canList, "goes on where a page ended although that key is deleted", async (context) => {
    const names = numbered(20);
    await setAll(context, names);
    const seen = new Set<string>();
    let after: string | null = null;
    do {
      const page = await listPage(context.store, { range: rangeOf(context), after, limit: 3, values: false });
      for (const { key } of page.rows) {
        seen.add(key);
        await context.store.remove(removal(key), call());
      }
      after = page.next;
    } while (after !== null);
    assert.deepEqual(byBytes(seen), names.map(context.key));
    assert.deepEqual(await told(context, rangeOf(context)), []);
  }),

  caseFor(canList, "agrees with a sorted array while others write", pagesAgree),
];

const RUNS = 25;
const SEEDS = 2 ** 31;

/** What happens before a page: keys that come, and keys that go. Those that stay are never touched. */
const plan: fc.Arbitrary<{ stays: string[]; moves: { comes: string; goes: boolean }[]; limit: number }> = fc.record({
  stays: fc.uniqueArray(fc.string({ unit: "grapheme", maxLength: 4 }).filter(isKeyEnding), { maxLength: 40 }),
  moves: fc.array(fc.record({ comes: fc.string({ maxLength: 3 }).filter(isKeyEnding), goes: fc.boolean() })),
  limit: fc.integer({ min: 1, max: 12 }),
});

/** Not every store takes a NUL, and a half of a pair is no text in UTF-8. */
function isKeyEnding(text: string): boolean {
  return !text.includes("\0") && text.isWellFormed() && !text.includes("|");
}

async function pagesAgree(context: Context): Promise<void> {
  const given = process.env.PANNIER_TEST_SEED;
  const seed = given === undefined ? randomInt(SEEDS) : Number(given);
  let run = 0;
  const property = fc.asyncProperty(plan, async ({ stays, moves, limit }) => {
    const beginning = `${run++}-`;
    const ours = stays.map((each) => `${beginning}s${each}`);
    const others = new Set(moves.map(({ comes }) => `${beginning}m${comes}`));
    await setAll(context, ours);
    let turn = 0;
    const between = async (): Promise<void> => {
      const move = moves[turn++];
      if (move === undefined) return;
      const name = `${beginning}m${move.comes}`;
      if (move.goes) await context.store.remove(removal(context.key(name)), call());
      else await setAll(context, [name]);
    };
    const keys = await told(context, rangeOf(context, beginning), { limit, between });
    assert.deepEqual(keys, byBytes(keys), "the order");
    assert.deepEqual(
      keys.filter((key) => !others.has(key)),
      byBytes(ours),
      "the keys that stay",
    );
    assert.equal(new Set(keys).size, keys.length, "a key comes once");
  });
  const details = await fc.check(property, { seed, numRuns: RUNS });
  if (!details.failed) return;
  const report = fc.defaultReportMessage(details);
  throw new assert.AssertionError({ message: `run again with PANNIER_TEST_SEED=${seed}\n${report}` });
}
