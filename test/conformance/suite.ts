// The conformance suite: what every store driver has to do, chosen by what the store declares.
// `conformance` puts it into mocha; the suite's own test takes CHAPTERS and runs the cases itself.
import { bulk } from "./bulk.ts";
import { type Case, type Chapter, Stage } from "./case.ts";
import { concurrency } from "./concurrency.ts";
import { declaration } from "./declaration.ts";
import { etags } from "./etags.ts";
import { firstWrite } from "./first-write.ts";
import { keys } from "./keys.ts";
import { lifecycle } from "./lifecycle.ts";
import { listing } from "./listing.ts";
import { narrowing } from "./narrowing.ts";
import { outages } from "./outages.ts";
import { recordRun, recordSkip } from "./recording.ts";
import { sequences } from "./sequences.ts";
import type { Subject } from "./subject.ts";
import { transactions } from "./transactions.ts";
import { ttl } from "./ttl.ts";
import { values } from "./values.ts";

/** Outages last: whatever they leave behind disturbs nobody. */
export const CHAPTERS: readonly Chapter[] = [
  declaration,
  values,
  keys,
  etags,
  firstWrite,
  ttl,
  transactions,
  bulk,
  listing,
  narrowing,
  concurrency,
  sequences,
  lifecycle,
  outages,
];

/** The cases of a chapter that a store's declaration chooses. */
export function chosen(chapter: Chapter, subject: Subject): readonly Case[] {
  return chapter.cases.filter((each) => each.applies === null || each.applies(subject));
}

const CASE_MS = 30_000;

/** Registers the suite for one subject; one pending test that stands for all cases when the subject cannot run here. */
export function conformance(subject: Subject): void {
  const names = CHAPTERS.flatMap((chapter) => chosen(chapter, subject)).map(({ name }) => name);
  if (subject.skip !== null) {
    recordSkip(subject, names.length);
    it.skip(`${subject.name} keeps the driver contract in ${names.length} cases (not run: ${subject.skip})`);
    return;
  }
  const known = new Set(names);
  const unknown = Object.keys(subject.excepted ?? {}).filter((name) => !known.has(name));
  if (unknown.length > 0) throw new Error(`${subject.name} excepts cases that it has not: ${unknown.join("; ")}`);
  describe(`${subject.name} and the driver contract`, function () {
    this.timeout(CASE_MS);
    let stage: Stage | null = null;
    const mustStage = (): Stage => {
      if (stage === null) throw new Error(`${subject.name} was not started`);
      return stage;
    };
    const waiting = new Map<Case, Promise<void>>();
    before(async () => {
      stage = await Stage.start(subject);
      startWaiting(subject, stage, waiting);
    });
    after(() => stage?.end());
    recordRun(subject, this, () => mustStage().told());
    for (const chapter of CHAPTERS) {
      const cases = chosen(chapter, subject);
      if (cases.length === 0) continue;
      describe(chapter.name, () => {
        for (const each of cases) {
          const why = subject.excepted?.[each.name];
          if (why === undefined) it(each.name, () => waiting.get(each) ?? mustStage().run(each));
          else it.skip(`${each.name} (not run: ${why})`);
        }
      });
    }
  });
}

/** Cases that wait for the clock all start before the first one, and wait together; each `it` takes its own outcome. */
function startWaiting(subject: Subject, stage: Stage, waiting: Map<Case, Promise<void>>): void {
  for (const each of CHAPTERS.flatMap((chapter) => chosen(chapter, subject))) {
    if (!each.waits || subject.excepted?.[each.name] !== undefined) continue;
    const run = stage.run(each);
    // Until its `it` comes, nobody listens.
    run.catch(() => undefined);
    waiting.set(each, run);
  }
}
