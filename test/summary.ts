// What a run of tests came to, and how that is told: the count that CI reads, and each reason why tests were skipped.

export interface Outcome {
  readonly passed: number;
  /** Title and message of each test or hook that failed. */
  readonly failed: readonly string[];
  /**
   * Title of each test that was skipped, with its reason in it: "… (not run: there is no java on PATH) …". One title may
   * stand for many: "… in 203 cases (not run: …)".
   */
  readonly skipped: readonly string[];
}

/** Several runs as one. */
export function total(outcomes: readonly Outcome[]): Outcome {
  return {
    passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
    failed: outcomes.flatMap(({ failed }) => failed),
    skipped: outcomes.flatMap(({ skipped }) => skipped),
  };
}

/** The last line of every run. */
export function countLine({ passed, failed, skipped }: Outcome): string {
  const cases = skipped.reduce((sum, title) => sum + casesOf(title), 0);
  return `${passed} passed, ${failed.length} failed, ${cases} skipped`;
}

/** A line for each reason, with the number of tests that it kept from running. */
export function skipLines({ skipped }: Outcome): readonly string[] {
  const counts = new Map<string, number>();
  for (const title of skipped) {
    const reason = reasonOf(title);
    counts.set(reason, (counts.get(reason) ?? 0) + casesOf(title));
  }
  return [...counts].map(([reason, count]) => `skipped ${count}: ${reason}`);
}

/** How many tests a title stands for. */
function casesOf(title: string): number {
  return Number(/ in (\d+) cases \(not run: /.exec(title)?.[1] ?? 1);
}

/** What stands in the title's first "(not run: …)", whose reason may have brackets of its own. */
function reasonOf(title: string): string {
  const mark = "(not run: ";
  const start = title.indexOf(mark);
  if (start < 0) return title;
  let depth = 1;
  for (let at = start + mark.length; at < title.length; at++) {
    if (title[at] === "(") depth++;
    if (title[at] === ")") depth--;
    if (depth === 0) return title.slice(start + mark.length, at);
  }
  return title.slice(start + mark.length);
}
