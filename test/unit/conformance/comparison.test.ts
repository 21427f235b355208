import assert from "node:assert/strict";
import { compareRecords, mergedRecords, unrecorded } from "#test/conformance/comparison.ts";
import type { SubjectRecord } from "#test/conformance/record.ts";

const RAN: SubjectRecord = {
  servers: { postgresql: "PostgreSQL 15", pgbouncer: "pgbouncer 1.18" },
  server: "pause",
  features: { etag: true, transactions: true, ttl: true, list: true },
  values: "exact-bytes",
  cases: 211,
  passed: 210,
  failed: 0,
  excepted: { "takes long keys whole": "the emulator takes short ones" },
  skipped: null,
};
const SKIPPED: SubjectRecord = { ...RAN, servers: {}, passed: 0, skipped: "by address" };
const NEWER = { ...RAN, servers: { ...RAN.servers, postgresql: "PostgreSQL 17" } };

const compare = (
  now: SubjectRecord,
  before: SubjectRecord,
  required: readonly string[] = ["postgresql", "pgbouncer", "proxy"],
) => compareRecords({ x: now }, { x: before }, (name) => required.includes(name));

describe("the comparison of a run of the suite with what is committed", () => {
  it("finds no difference in the same", () => {
    assert.deepEqual(compare(RAN, RAN), { differences: [], notes: [] });
    assert.deepEqual(compare({ ...RAN, features: { list: true, ttl: true, transactions: true, etag: true } }, RAN), {
      differences: [],
      notes: [],
    });
  });

  it("names the subject, both values and the command", () => {
    assert.deepEqual(compare({ ...RAN, cases: 213, passed: 212 }, RAN).differences, [
      "x: cases chosen: 211 in docs/stores-run.json, 213 in this run; " +
        "cases passed: 210 in docs/stores-run.json, 212 in this run. " +
        "If that is meant, run `npm run record` and commit what it writes",
    ]);
  });

  for (const [what, now] of [
    ["a case that did not run", { ...RAN, passed: 209 }],
    ["another exception", { ...RAN, excepted: { "takes long keys whole": "for no reason" } }],
    ["a feature", { ...RAN, features: { ...RAN.features, list: false } }],
    ["how values come back", { ...RAN, values: "json-equal" }],
    ["a server more", { ...RAN, servers: { ...RAN.servers, proxy: "proxy 1" } }],
    ["a server less", { ...RAN, servers: { postgresql: "PostgreSQL 15" } }],
  ] as const)
    it(`finds ${what}`, () => {
      const { differences, notes } = compare(now, RAN);
      assert.deepEqual([differences.length, notes.length], [1, 0]);
    });

  it("finds another version of a server that is required", () => {
    const [difference, ...others] = compare(NEWER, RAN).differences;
    assert.match(
      difference ?? "",
      /^x: servers: PostgreSQL 15 and pgbouncer 1\.18 in .*, PostgreSQL 17 and pgbouncer 1\.18 in this run\. /,
    );
    assert.deepEqual(others, []);
  });

  it("only notes another version of a server that is not, whatever its cases came to", () => {
    const { differences, notes } = compare({ ...NEWER, cases: 100, passed: 99 }, RAN, ["pgbouncer"]);
    assert.deepEqual(differences, []);
    assert.match(notes.join(), /^x: it ran on PostgreSQL 17 .* and the record is of PostgreSQL 15 /);
  });

  it("only notes a server that was lent in place of one to be hurt, and one that nobody had when the record was made", () => {
    for (const [now, before] of [
      [{ ...RAN, server: "none", passed: 190, cases: 191 } as const, RAN],
      [RAN, SKIPPED],
    ] as const) {
      const { differences, notes } = compare(now, before);
      assert.deepEqual([differences.length, notes.length], [0, 1]);
    }
  });

  it("says nothing of a subject that did not run, nor of one that is missing from the run", () => {
    assert.deepEqual(compare({ ...SKIPPED, cases: 12 }, RAN), { differences: [], notes: [] });
    assert.deepEqual(
      compareRecords({}, { x: RAN }, () => true),
      { differences: [], notes: [] },
    );
  });

  it("finds that cases by address are counted anew, and leaves a failed case to its own sentence", () => {
    assert.equal(compare({ ...SKIPPED, cases: 212 }, SKIPPED).differences.length, 1);
    assert.deepEqual(compare({ ...RAN, passed: 209, failed: 1 }, RAN).differences, []);
  });

  it("finds a subject of which a run of everything has left nothing", () => {
    assert.deepEqual(unrecorded({ x: SKIPPED }, { x: RAN }), []);
    assert.match(
      unrecorded({ x: RAN }, { x: RAN, y: RAN }).join(),
      /^y: it is in docs\/stores-run\.json, and nothing ran it/,
    );
  });

  it("finds a subject of which nothing is committed", () => {
    const { differences } = compareRecords({ y: RAN }, { x: RAN }, () => true);
    assert.match(differences.join(), /^y: docs\/stores-run\.json has no such subject\. .*`npm run record`/);
  });
});

describe("a record that is made anew", () => {
  it("has what ran, keeps what could not run here, and loses what there is no longer", () => {
    const committed = { ran: RAN, away: RAN, never: SKIPPED, gone: RAN };
    const recorded = { ran: NEWER, away: SKIPPED, never: { ...SKIPPED, cases: 212 }, new: RAN };
    assert.deepEqual(mergedRecords(recorded, committed), {
      records: { ...recorded, away: RAN },
      kept: ["away"],
    });
  });
});
