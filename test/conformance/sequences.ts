// Conformance: random sequences of sets, deletes and transactions against the reference model, with right, stale, wrong
// and absent ETags. A failure prints its seed; PANNIER_TEST_SEED=<seed> runs the same sequences again.
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import fc from "fast-check";
import type { Change } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { getMany, outcomeOf, transact } from "./checks.ts";
import { type Condition, Model, type ModelChange, NO_VERSION } from "./model.ts";
import { call, deletion, json, upsert } from "./requests.ts";
import { hasEtags } from "./subject.ts";

const RUNS = 40;
const STEPS_MAX = 15;
const CHANGES_MAX = 4;
const SEEDS = 2 ** 31;
const NAMES = ["x", "y", "z"] as const;

interface Planned {
  readonly name: (typeof NAMES)[number];
  readonly kind: "upsert" | "delete";
  readonly condition: "none" | "right" | "stale" | "wrong" | "first-write" | "first-write, right";
}

/** One change alone, or several in a transaction. */
type Step = { readonly together: boolean; readonly changes: readonly Planned[] };

const planned: fc.Arbitrary<Planned> = fc.record({
  name: fc.constantFrom(...NAMES),
  kind: fc.constantFrom("upsert", "upsert", "delete"),
  condition: fc.constantFrom("none", "right", "right", "stale", "wrong", "first-write", "first-write, right"),
});

function sequenceOf(withTransactions: boolean): fc.Arbitrary<Step[]> {
  const single = planned.map((change): Step => ({ together: false, changes: [change] }));
  const several = fc
    .array(planned, { minLength: 1, maxLength: CHANGES_MAX })
    .map((changes): Step => ({ together: true, changes }));
  return fc.array(withTransactions ? fc.oneof(single, several) : single, { minLength: 1, maxLength: STEPS_MAX });
}

/** A model and a store side by side, with the ETags that were seen for the model's versions. */
class Comparison {
  readonly #context: Context;
  readonly #run: string;
  readonly #model: Model;
  readonly #etags = new Map<number, string>();
  /** Every ETag that a key has had. */
  readonly #history = new Map<string, string[]>();
  #writes = 0;

  constructor(context: Context, run: string) {
    this.#context = context;
    this.#run = run;
    this.#model = new Model(context.subject.declares.traits.firstWriteDelete);
  }

  async step({ together, changes }: Step): Promise<void> {
    const pairs = changes.map((change) => this.#translate(change));
    const expected = this.#model.apply(pairs.map(([model]) => model));
    const error = await outcomeOf(
      this.#send(
        pairs.map(([, change]) => change),
        together,
      ),
    );
    const text = error === null ? "ok" : error.code.startsWith("etag-") ? "refused by a condition" : error.message;
    assert.equal(text, expected ? "ok" : "refused by a condition", JSON.stringify({ together, changes }));
    await this.#compare();
  }

  async #send(changes: readonly Change[], together: boolean): Promise<void> {
    if (together) return transact(this.#context.store, changes);
    for (const change of changes) {
      if (change.kind === "upsert") await this.#context.store.set(change.write, call());
      else await this.#context.store.remove(change.removal, call());
    }
  }

  #translate({ name, kind, condition }: Planned): readonly [ModelChange, Change] {
    const etag = this.#etagFor(name, condition);
    const firstWrite = condition.startsWith("first-write");
    const meant: Condition =
      etag !== null ? { version: this.#versionOf(name, etag) } : firstWrite ? "first-write" : "none";
    const options = { etag, firstWrite };
    const key = this.#key(name);
    if (kind === "delete") return [{ key: name, value: null, condition: meant }, deletion(key, options)];
    const value = `${name}${++this.#writes}`;
    return [{ key: name, value, condition: meant }, upsert(key, json(value), options)];
  }

  /** The ETag text that a planned condition sends; null for none. What has no ETag to be right or stale sends a wrong one. */
  #etagFor(name: string, condition: Planned["condition"]): string | null {
    if (condition === "none" || condition === "first-write") return null;
    const row = this.#model.get(name);
    const current = row === null ? undefined : this.#etags.get(row.version);
    // A counter starts again after a delete, so an old ETag can be the current one: then it is not stale.
    const stale = this.#history.get(name)?.findLast((etag) => etag !== current);
    const chosen = condition === "stale" ? stale : condition === "wrong" ? undefined : current;
    return chosen ?? "987654321987654321";
  }

  #versionOf(name: string, etag: string): number {
    const row = this.#model.get(name);
    return row !== null && this.#etags.get(row.version) === etag ? row.version : NO_VERSION;
  }

  /** Every key has the model's value, and its ETag changed exactly when the model's version did. */
  async #compare(): Promise<void> {
    const rows = await getMany(this.#context.store, NAMES.map(this.#key));
    for (const [index, name] of NAMES.entries()) {
      const row = rows[index] ?? null;
      const expected = this.#model.get(name);
      assert.equal(row === null ? null : JSON.parse(Buffer.from(row.bytes).toString()), expected?.value ?? null, name);
      if (row === null || expected === null) continue;
      assert.ok(row.etag !== null, `${name} has no etag`);
      const known = this.#etags.get(expected.version);
      if (known === undefined) this.#remember(name, expected.version, row.etag);
      else assert.equal(row.etag, known, `the etag of ${name} changed without a write`);
    }
  }

  #remember(name: string, version: number, etag: string): void {
    const history = this.#history.get(name) ?? [];
    this.#etags.set(version, etag);
    this.#history.set(name, [...history, etag]);
  }

  readonly #key = (name: string): string => this.#context.key(`${this.#run}-${name}`);
}

async function agrees(context: Context): Promise<void> {
  const given = process.env.PANNIER_TEST_SEED;
  const seed = given === undefined ? randomInt(SEEDS) : Number(given);
  assert.ok(Number.isSafeInteger(seed), `PANNIER_TEST_SEED: got "${given}", want the whole number of a failed run`);
  let run = 0;
  const property = fc.asyncProperty(sequenceOf(context.subject.declares.features.transactions), async (steps) => {
    const comparison = new Comparison(context, String(run++));
    for (const step of steps) await comparison.step(step);
  });
  const details = await fc.check(property, { seed, numRuns: RUNS });
  if (!details.failed) return;
  const report = fc.defaultReportMessage(details);
  throw new assert.AssertionError({ message: `run again with PANNIER_TEST_SEED=${seed}\n${report}` });
}

const cases: readonly Case[] = [caseFor(hasEtags, "answers as the reference model does", agrees)];

export const sequences: Chapter = { name: "random sequences", cases };
