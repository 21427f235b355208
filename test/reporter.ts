// The spec reporter, with a last line that counts what ran, in one fixed form that CI reads. A run that has ended and does
// not go away is ended: what a failed test left open must not keep CI from telling which one failed.
import Mocha from "mocha";

/** What is left open may keep the process for so long after the last test, in milliseconds. */
const LINGER_MAX_MS = 60_000;

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      // After the list of failures, which the parent prints at this same event.
      const { passes, failures, pending } = this.stats;
      setImmediate(() => process.stdout.write(`${passes} passed, ${failures} failed, ${pending} skipped\n`));
      setTimeout(() => {
        process.stderr.write("the tests are over, and something that one of them opened keeps the process alive\n");
        process.exit(1);
      }, LINGER_MAX_MS).unref();
    });
  }
}

// mocha takes a reporter from a file's default export or its `module.exports`, so this one file has a default export.
export { CountingReporter as default };
