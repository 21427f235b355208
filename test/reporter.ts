// The spec reporter, with the reasons of what was skipped and a last line that counts what ran, in one fixed form that CI
// reads. A run that has ended and does not go away is ended: what a failed test left open must not keep CI from telling
// which one failed. With PANNIER_TEST_SUMMARY it writes these into that file instead, for the sum of several runs (test/run.ts).
import { writeFileSync } from "node:fs";
import Mocha from "mocha";
import { countLine, type Outcome, skipLines } from "./summary.ts";

/** What is left open may keep the process for so long after the last test, in milliseconds. */
const LINGER_MAX_MS = 60_000;

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    const { EVENT_TEST_FAIL, EVENT_TEST_PENDING, EVENT_RUN_END } = Mocha.Runner.constants;
    const failed: string[] = [];
    const skipped: string[] = [];
    runner.on(EVENT_TEST_FAIL, (test: Mocha.Runnable, error: Error) =>
      failed.push(`${test.fullTitle()}: ${firstLine(error.message)}`),
    );
    runner.on(EVENT_TEST_PENDING, (test: Mocha.Runnable) => skipped.push(test.fullTitle()));
    runner.once(EVENT_RUN_END, () => {
      const outcome = { passed: this.stats.passes, failed, skipped };
      // After the list of failures, which the parent prints at this same event.
      setImmediate(() => {
        tell(outcome);
        // Node's own end once ran in circles at full speed, when nothing was left to do, for a request that nobody answered.
        // Behind mocha's listener, which sets the code.
        process.once("exit", () => process.exit());
      });
      setTimeout(() => {
        process.stderr.write("the tests are over, and something that one of them opened keeps the process alive\n");
        process.exit(1);
      }, LINGER_MAX_MS).unref();
    });
  }
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

function tell(outcome: Outcome): void {
  const path = process.env.PANNIER_TEST_SUMMARY;
  if (path === undefined) process.stdout.write([...skipLines(outcome), countLine(outcome), ""].join("\n"));
  else writeFileSync(path, JSON.stringify(outcome));
}

// mocha takes a reporter from a file's default export or its `module.exports`, so this one file has a default export.
export { CountingReporter as default };
