// What the ends of calls come to: which code, what text, and what may be in doubt.
import assert from "node:assert/strict";
import { GoogleError, statusError } from "#sidecar/stores/google/failures.ts";
import { explained, isAborted, isSessionGone, isTableMissing } from "#sidecar/stores/spanner/failures.ts";

const end = (code: number, details: string, isWrite: boolean): GoogleError =>
  statusError({ status: { code, details }, server: "spanner at s:443", isWrite });

describe("the end of a call to one of Google's services", () => {
  it("is that nothing was written when there was no connection", () => {
    const details =
      "No connection established. Last error: Error: connect ECONNREFUSED 10.0.0.1:443. Resolution note: ";
    for (const isWrite of [true, false]) {
      const { code, message, ending } = end(14, details, isWrite);
      assert.deepEqual([code, ending], ["unavailable", "not-sent"]);
      assert.equal(message, "cannot connect to spanner at s:443: ECONNREFUSED");
    }
    assert.equal(end(14, "Channel closed before call started", true).ending, "not-sent");
  });

  it("points at the endpoint where TLS fails, and at the certificate where it is that", () => {
    const told = (words: string): string => end(14, `No connection established. Last error: ${words}`, false).message;
    const lead = "cannot connect to spanner at s:443: ";
    const untrusted = "the server's certificate is self-signed; check endpoint, and the server's certificate";
    assert.equal(told("Error: self-signed certificate"), lead + untrusted);
    const plain = "the server does not speak TLS; check endpoint: it is without https:// for an emulator only";
    assert.equal(told("Error: 40934DEE:error:0A00010B:SSL routines::wrong version number:x.c:78:\n"), lead + plain);
  });

  const doubtful: [status: number, details: string][] = [
    [1, "Call cancelled"],
    [2, "something"],
    // The library's own words for streams that were reset: no answer of the service.
    [7, "Protocol not secure enough"],
    [8, "Bandwidth exhausted or memory limit exceeded"],
    [13, "Received RST_STREAM with code 2"],
    [14, "Connection dropped"],
    [15, "data loss"],
  ];
  for (const [status, details] of doubtful) {
    it(`leaves open what became of a write after status ${status}`, () => {
      const write = end(status, details, true);
      assert.deepEqual([write.code, write.ending], ["unknown-outcome", "lost"]);
      assert.match(write.message, /; the write may have happened$/);
      const read = end(status, details, false);
      assert.deepEqual([read.code, read.ending], ["unavailable", "lost"]);
      assert.doesNotMatch(read.message, /may have happened/);
    });
  }

  it("is a timeout when the time is up, and leaves a write open", () => {
    assert.deepEqual([end(4, "", true).code, end(4, "", true).ending], ["timeout", "late"]);
    assert.match(end(4, "", true).message, /no answer from spanner at s:443 in time; the write may have happened$/);
    assert.doesNotMatch(end(4, "", false).message, /may have happened/);
  });

  const refusals: [status: number, details: string, code: string, text: RegExp][] = [
    [3, "bad", "failed", /INVALID_ARGUMENT/],
    [6, "there", "failed", /ALREADY_EXISTS/],
    [
      7,
      "Caller is missing IAM permission spanner.databases.write on resource x",
      "unavailable",
      /lacks spanner\.databases\.write$/,
    ],
    [7, "no", "unavailable", /give it the rights on the page/],
    [8, "quota", "unavailable", /no capacity left/],
    [9, "not so", "failed", /FAILED_PRECONDITION/],
    [12, "what?", "failed", /UNIMPLEMENTED/],
    [16, "who?", "unavailable", /does not accept the credentials; see the fields of the service account/],
  ];
  for (const [status, details, code, text] of refusals) {
    it(`is a refusal after status ${status}, "${details.slice(0, 8)}", by which nothing was written`, () => {
      const error = end(status, details, true);
      assert.deepEqual([error.code, error.ending, error.status], [code, "answered", status]);
      assert.match(error.message, text);
      assert.doesNotMatch(error.message, /may have happened/);
    });
  }

  it("never shows the service's own words, which can hold keys", () => {
    for (let status = 1; status <= 16; status++)
      assert.doesNotMatch(end(status, "Row [app||s3cr3t] in table state", true).message, /s3cr3t/);
  });
});

describe("the words of Spanner", () => {
  const names = { database: "projects/p/instances/i/databases/d", table: "state" };
  const said = (code: number, details: string): GoogleError => {
    const error = explained(end(code, details, true), "spanner at s:443", names);
    assert.ok(error instanceof GoogleError);
    return error;
  };

  it("tell a missing database, table or column, each with what to do", () => {
    assert.match(
      said(5, "Database not found: projects/p").message,
      /has no projects\/p\/.*: make it, or check project_id/,
    );
    assert.match(said(5, "Table not found: state").message, /has no table state in this database/);
    assert.match(said(5, "Column not found in table state: version").message, /lacks a column in the table state/);
  });

  it("tell a transaction that is too large, which is refused", () => {
    for (const details of [
      "The transaction contains too many mutations. Insert and update operations count with the multiplicity",
      "The transaction exceeds the maximum total bytes-size that can be handled by Spanner",
    ]) {
      assert.equal(said(3, details).code, "refused");
      assert.doesNotMatch(said(3, details).message, /may have happened/);
    }
  });

  it("are passed over where they say nothing more, and keep status and ending", () => {
    const error = said(3, "Invalid value for bind parameter");
    assert.deepEqual([error.code, error.status, error.ending], ["failed", 3, "answered"]);
    const thrown = new TypeError("ours");
    assert.equal(explained(thrown, "spanner at s:443", names), thrown);
  });

  it("tell a session that is gone from a table that is missing", () => {
    const session = end(5, "Session not found: projects/p/instances/i/databases/d/sessions/1", true);
    const table = said(5, "Table not found: state");
    assert.deepEqual([isSessionGone(session), isTableMissing(session)], [true, false]);
    assert.deepEqual([isSessionGone(table), isTableMissing(table)], [false, true]);
    assert.deepEqual([isAborted(end(10, "", true)), isAborted(session)], [true, false]);
  });
});
