// Writes down what becomes of a subject while the suite calls its driver itself: into the folder that PANNIER_TEST_RECORD
// names, and nothing without it. A subject over an API leaves no record, nor one of whose cases only some ran (--grep).
import { leaveRecord, type SubjectRecord } from "./record.ts";
import type { Subject } from "./subject.ts";
import type { Told } from "./told.ts";

const FOLDER = process.env.PANNIER_TEST_RECORD;

/** Some are programs of Java, which begin slowly on a busy machine. */
const ASK_MS = 120_000;

/** For a subject that cannot run here, `cases` in number. */
export function recordSkip(subject: Subject, cases: number): void {
  const { skip } = subject;
  leave(subject, { servers: {}, cases, passed: 0, failed: 0, skipped: skip });
}

/** Within the describe of a subject, behind its own hooks: asks its servers once they run, and counts when all is over. */
export function recordRun(subject: Subject, suite: Mocha.Suite, tells: () => Promise<Told>): void {
  if (!isRecorded(subject)) return;
  let servers: Told = {};
  before(async function () {
    this.timeout(ASK_MS);
    servers = await tells();
  });
  after(() => {
    const { left, ...counts } = counted(suite);
    if (left === 0) leave(subject, { servers, ...counts, skipped: null });
  });
}

function isRecorded({ surface }: Subject): boolean {
  return FOLDER !== undefined && surface === undefined;
}

type Outcome = Pick<SubjectRecord, "servers" | "cases" | "passed" | "failed" | "skipped">;

function leave(subject: Subject, { servers, cases, passed, failed, skipped }: Outcome): void {
  if (FOLDER === undefined || !isRecorded(subject)) return;
  const { name, server, declares, excepted = {} } = subject;
  const { features, traits } = declares;
  const { values } = traits;
  leaveRecord(FOLDER, name, { servers, server, features, values, cases, passed, failed, excepted, skipped });
}

/** As mocha has it: a test without a state has not run, though nobody said that it must not. */
function counted(suite: Mocha.Suite): { cases: number; passed: number; failed: number; left: number } {
  const tests: Mocha.Test[] = [];
  suite.eachTest((test) => void tests.push(test));
  const count = (holds: (test: Mocha.Test) => boolean): number => tests.filter(holds).length;
  return {
    cases: tests.length,
    passed: count(({ state }) => state === "passed"),
    failed: count(({ state }) => state === "failed"),
    left: count((test) => test.state === undefined && !test.isPending()),
  };
}
