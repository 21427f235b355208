import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inMemory } from "#test/conformance/in-memory.ts";
import { type Records, recordsIn } from "#test/conformance/record.ts";
import { CHAPTERS, chosen } from "#test/conformance/suite.ts";
import { countLine, type Outcome, skipLines } from "#test/summary.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const CASES = CHAPTERS.reduce((sum, chapter) => sum + chosen(chapter, inMemory).length, 0);

interface Run {
  readonly records: Records;
  readonly outcome: Outcome;
}

/** The subjects of recorded-child.ts by a mocha of their own, whose outcome and records are not those of this run. */
function run(...args: readonly string[]): Run {
  const folder = mkdtempSync(join(tmpdir(), "pannier-recording-"));
  try {
    const [records, summary] = [join(folder, "records"), join(folder, "summary.json")];
    mkdirSync(records);
    const mocha = [join(ROOT, "node_modules/mocha/bin/mocha.js"), ...args, "test/unit/conformance/recorded-child.ts"];
    const env = { ...process.env, PANNIER_TEST_RECORD: records, PANNIER_TEST_SUMMARY: summary };
    const { stderr } = spawnSync(process.execPath, mocha, { cwd: ROOT, env, encoding: "utf8" });
    assert.equal(stderr, "");
    return { records: recordsIn(records), outcome: JSON.parse(readFileSync(summary, "utf8")) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the recording of a run of the suite", () => {
  it("tells what a subject's cases came to, on which servers, and why one did not run", () => {
    const { records, outcome } = run();
    const { features, traits } = inMemory.declares;
    const declared = { features, values: traits.values };
    assert.deepEqual(records, {
      "a, or b/c": {
        ...declared,
        servers: { redis: "Redis 1.2" },
        server: "pause",
        cases: 4,
        passed: 2,
        failed: 1,
        excepted: { "is wrong in an emulator": "the emulator" },
        skipped: null,
      },
      elsewhere: {
        ...declared,
        servers: {},
        server: "none",
        cases: CASES,
        passed: 0,
        failed: 0,
        excepted: {},
        skipped: "nothing here",
      },
    });
    assert.equal(outcome.failed.length, 2);
  });

  it("leaves nothing of a subject of whose cases only some ran", () => {
    assert.deepEqual(Object.keys(run("--grep", "a, or b/c a chapter").records), ["elsewhere"]);
  });

  it("leaves the sum of skips every case of a subject that cannot run", () => {
    const { outcome } = run();
    assert.equal(countLine(outcome), `4 passed, 2 failed, ${CASES + 2} skipped`);
    assert.deepEqual(
      skipLines(outcome).toSorted(),
      ["skipped 2: the emulator", `skipped ${CASES}: nothing here`].toSorted(),
    );
  });
});
