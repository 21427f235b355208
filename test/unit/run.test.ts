// `npm test` and `npm run record` in a project of one store's subject: what becomes of the committed record.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Records, recordText, type SubjectRecord } from "#test/conformance/record.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const COPIED = [
  "package.json",
  ".mocharc.json",
  "test/run.ts",
  "test/reporter.ts",
  "test/summary.ts",
  "test/servers/required.ts",
  "test/conformance/comparison.ts",
  "test/conformance/record.ts",
  "test/conformance/recording.ts",
];

const RECORD: SubjectRecord = {
  servers: { redis: "Redis 7.0" },
  server: "pause",
  features: { etag: true, transactions: true, ttl: true, list: true },
  values: "exact-bytes",
  cases: 2,
  passed: 2,
  failed: 0,
  excepted: {},
  skipped: null,
};

/** A conformance file whose one subject has two cases. */
const SUITE = `// A subject.
import { recordRun } from "./recording.ts";
const { features, values, server } = ${JSON.stringify(RECORD)};
const subject = { name: "a store", server, declares: { features, traits: { values } } };
describe(subject.name, function () {
  recordRun(subject, this, async () => ({ redis: "Redis 7.0" }));
  it("keeps one thing", () => undefined);
  it("keeps another", () => { if (process.env.BROKEN) throw new Error("broken"); });
});
`;

const PAGES = `// In place of the pages.
import { writeFileSync } from "node:fs";
export const writePages = async () => writeFileSync(new URL("page.md", import.meta.url), "made");
`;

interface Ended {
  readonly status: number | null;
  readonly lines: readonly string[];
}

describe("the run of all tests", function () {
  this.timeout(120_000);
  let root = "";

  before(() => {
    root = mkdtempSync(join(tmpdir(), "pannier-run-"));
    for (const path of COPIED) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      copyFileSync(join(ROOT, path), join(root, path));
    }
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    mkdirSync(join(root, "docs"));
    writeFileSync(join(root, "docs/generate.ts"), PAGES);
    writeFileSync(join(root, "test/conformance/store.test.ts"), SUITE);
  });
  after(() => rmSync(root, { recursive: true }));

  const file = (name: string): string => join(root, "docs", name);
  const commit = (records: Records): void => writeFileSync(file("stores-run.json"), recordText(records));
  const committed = (): Records => JSON.parse(readFileSync(file("stores-run.json"), "utf8"));

  function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Ended {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["test/run.ts", ...args], {
      cwd: root,
      env: { ...process.env, PANNIER_TEST_REQUIRE: "redis", ...env },
      encoding: "utf8",
    });
    return { status, lines: `${stdout}${stderr}`.trimEnd().split("\n") };
  }

  it("passes where the stores do what is committed", () => {
    commit({ "a store": RECORD });
    const { status, lines } = run([]);
    assert.deepEqual([status, lines.at(-1)], [0, "2 passed, 0 failed, 0 skipped"]);
  });

  it("fails where a store passes another number of cases, and counts that", () => {
    commit({ "a store": { ...RECORD, passed: 1 } });
    const { status, lines } = run([]);
    assert.deepEqual([status, lines.at(-1)], [1, "2 passed, 1 failed, 0 skipped"]);
    assert.match(
      lines.at(-2) ?? "",
      /^failed in the record of the stores: a store: cases passed: 1 in .*, 2 in this run\. /,
    );
  });

  it("fails on another version of a server that is required, and notes it elsewhere", () => {
    commit({ "a store": { ...RECORD, servers: { redis: "Redis 6.2" } } });
    assert.equal(run([]).lines.at(-1), "2 passed, 1 failed, 0 skipped");
    const { status, lines } = run([], { PANNIER_TEST_REQUIRE: "" });
    assert.deepEqual([status, lines.at(-1)], [0, "2 passed, 0 failed, 0 skipped"]);
    assert.equal(lines.filter((line) => line.startsWith("note: a store: it ran on Redis 7.0, ")).length, 1);
  });

  it("misses a committed subject in a run of everything, and in no other", () => {
    commit({ "a store": RECORD, "another store": RECORD });
    assert.match(run([]).lines.at(-2) ?? "", /another store: it is in .*, and nothing ran it/);
    assert.equal(run(["--grep", "one thing"]).lines.at(-1), "1 passed, 0 failed, 0 skipped");
  });

  it("writes the record and the pages when it is told to", () => {
    commit({ "a store": { ...RECORD, passed: 0 }, "another store": RECORD });
    assert.equal(run(["--record"]).status, 0);
    assert.deepEqual(committed(), { "a store": RECORD });
    assert.equal(readFileSync(file("page.md"), "utf8"), "made");
  });

  it("writes no record of a run in which something failed, nor of some cases", () => {
    commit({});
    const { status, lines } = run(["--record"], { BROKEN: "1" });
    assert.deepEqual([status, lines.at(-1)], [1, "1 passed, 1 failed, 0 skipped"]);
    assert.match(
      run(["--record", "--grep", "one"]).lines.join("\n"),
      /--record is of whole runs: got --record --grep one/,
    );
    assert.deepEqual(committed(), {});
  });
});
