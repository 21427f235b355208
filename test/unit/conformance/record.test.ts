import assert from "node:assert/strict";
import { committedRecords, type Records, recordText, type SubjectRecord } from "#test/conformance/record.ts";
import { STORES } from "#test/conformance/subjects.ts";
import { storeTable, subjectTable } from "#test/conformance/tables.ts";
import { versionIn } from "#test/conformance/told.ts";

const TRIED = STORES.flatMap(({ tried }) => tried);
const REDIS = "state.redis, one server";
const SQL_SERVER = "state.sqlserver v1";

/** What is committed, but for one subject. */
function changed(name: string, changes: Partial<SubjectRecord>): Records {
  const records = committedRecords();
  const old = records[name];
  assert.ok(old !== undefined, name);
  return { ...records, [name]: { ...old, ...changes } };
}

const linesOf = (text: string, word: string): readonly string[] =>
  text.split("\n").filter((line) => line.includes(word));

describe("the committed record of the suite", () => {
  it("has each subject of the suite once, and no other", () => {
    assert.deepEqual(Object.keys(committedRecords()), TRIED.map(({ subject }) => subject.name).sort());
  });

  it("is of a run in which every case passed or was left out with a reason, on servers that said what they are", () => {
    for (const { subject, against } of TRIED) {
      const record = committedRecords()[subject.name];
      assert.ok(record !== undefined);
      const { cases, passed, failed, excepted, skipped, servers } = record;
      assert.equal(failed, 0, subject.name);
      assert.equal(passed, skipped === null ? cases - Object.keys(excepted).length : 0, subject.name);
      const isTold = skipped === null && against.includes("{servers}");
      assert.equal(Object.keys(servers).length > 0, isTold, subject.name);
    }
  });

  it("has one text, whatever ended first", () => {
    const records = committedRecords();
    const turned = Object.fromEntries(Object.entries(records).reverse());
    assert.equal(recordText(turned), recordText(records));
  });
});

describe("the tables of what ran against what", () => {
  it("have the numbers and versions of the record", () => {
    const records = changed(REDIS, {
      servers: { redis: "Redis 99.9" },
      passed: 12_345,
      excepted: { "a case": "a reason" },
    });
    const [row = "", ...reasons] = linesOf(subjectTable(records), "Redis 99.9");
    assert.match(row, /^\| \[`state\.redis`\].* \| Redis 99\.9, one server \|.*\| 12345 \| 1 \|$/);
    assert.deepEqual(reasons, ["`state.redis`, not run on Redis 99.9, one server:"]);
    assert.deepEqual(linesOf(subjectTable(records), "a case: a reason"), ["- a case: a reason"]);
    assert.match(
      linesOf(storeTable(records), "Redis 99.9").join(),
      /Redis 99\.9, one server, without a case that it gets wrong/,
    );
  });

  it("say of a subject that did not run that none of its cases did, and why", () => {
    const records = changed(SQL_SERVER, { cases: 54_321, skipped: "no address" });
    assert.match(
      linesOf(subjectTable(records), "54321").join(),
      /^\| \[`state\.sqlserver`\].* v1 .*\| 0 \| all 54321 \|$/,
    );
    assert.match(
      linesOf(subjectTable(records), "no address").join(),
      /^`state\.sqlserver` v1, not run on SQL Server: no address/,
    );
    assert.match(linesOf(storeTable(records), "state.sqlserver").join(), /\*\*never run against a real server\*\*/);
  });

  it("say of a store with a stand-in alone that no real server was there, until one is", () => {
    const row = (records: Records): string => linesOf(storeTable(records), "`state.yugabytedb`").join();
    assert.match(row(committedRecords()), /\*\*never run against a real server\*\*; PostgreSQL .* in its place/);
    const met = changed("state.yugabytedb, YugabyteDB itself", { skipped: null, passed: 170 });
    assert.doesNotMatch(row(met), /never run|not run/);
  });

  it("cannot be made without a record of each subject", () => {
    const { [REDIS]: _left, ...others } = committedRecords();
    assert.throws(() => subjectTable(others), /state\.redis, one server has no record: run `npm run record`/);
  });
});

describe("the version that a server tells", () => {
  it("is as long as a table has it", () => {
    assert.equal(versionIn("10.11.14-MariaDB-0+deb12u2", 2), "10.11");
    assert.equal(versionIn("15.14 (Debian 15.14-0+deb12u1)", 1), "15");
    assert.equal(versionIn("VERSION 1.6.18\r\n", 2), "1.6");
    assert.throws(() => versionIn("undefined", 2), /got "undefined", want a text with a version/);
  });
});
