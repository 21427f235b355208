// The spec reporter, with a last line that counts what ran, in one fixed form that CI reads.
import Mocha from "mocha";

class CountingReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
      // After the list of failures, which the parent prints at this same event.
      const { passes, failures, pending } = this.stats;
      setImmediate(() => process.stdout.write(`${passes} passed, ${failures} failed, ${pending} skipped\n`));
    });
  }
}

// mocha takes a reporter from a file's default export or its `module.exports`, so this one file has a default export.
export { CountingReporter as default };
