import assert from "node:assert/strict";
import { explain, Failed, needsReconnect } from "#sidecar/stores/sqlite/failures.ts";

const SCENE = { path: "/tmp/there-is-no-such-directory/a.db", busyTimeoutMs: 2000, committing: false };

/** An error as node:sqlite throws it. */
function sqliteError(errcode: number, message: string): Error {
  return Object.assign(new Error(message), { code: "ERR_SQLITE_ERROR", errcode });
}

describe("failures of SQLite", () => {
  // Extended codes as https://www.sqlite.org/rescode.html lists them.
  const table: readonly (readonly [string, number, string, RegExp, boolean])[] = [
    ["SQLITE_ERROR", 1, "failed", /no such thing/, false],
    ["SQLITE_PERM", 3, "unavailable", /no permission/, false],
    ["SQLITE_BUSY", 5, "unavailable", /stayed locked .* busyTimeout \(2s\)/, false],
    ["SQLITE_BUSY_SNAPSHOT", 517, "unavailable", /stayed locked/, false],
    ["SQLITE_LOCKED", 6, "unavailable", /stayed locked/, false],
    ["SQLITE_NOMEM", 7, "unavailable", /out of memory/, false],
    ["SQLITE_READONLY", 8, "unavailable", /attempt to write a readonly database/, true],
    ["SQLITE_READONLY_DIRECTORY", 1544, "unavailable", /immutable=1/, true],
    ["SQLITE_IOERR_WRITE", 778, "unavailable", /the disk failed/, true],
    ["SQLITE_CORRUPT", 11, "unavailable", /damaged/, true],
    ["SQLITE_FULL", 13, "unavailable", /no space left/, false],
    ["SQLITE_CANTOPEN", 14, "unavailable", /directory \/tmp\/there-is-no-such-directory .* does not exist/, true],
    ["SQLITE_PROTOCOL", 15, "unavailable", /disableWAL/, false],
    ["SQLITE_TOOBIG", 18, "refused", /1,000,000,000 bytes/, false],
    ["SQLITE_AUTH", 23, "unavailable", /no permission/, false],
    ["SQLITE_NOTADB", 26, "unavailable", /no SQLite database/, true],
  ];
  for (const [name, errcode, code, message, reconnect] of table) {
    it(`are explained for ${name}`, () => {
      const error = sqliteError(errcode, "no such thing");
      const failure = explain(error, SCENE);
      assert.equal(failure.code, code);
      assert.match(failure.message, message);
      if (code !== "refused") assert.ok(failure.message.includes(SCENE.path), failure.message);
      assert.equal(needsReconnect(error), reconnect);
    });
  }

  it("leave the outcome open when the disk fails at the commit", () => {
    assert.equal(explain(sqliteError(1034, "disk I/O error"), { ...SCENE, committing: true }).code, "unknown-outcome");
  });

  it("keep a failure that is settled, and name what is no error of SQLite", () => {
    const failure = { code: "etag-mismatch", message: "another etag" } as const;
    assert.equal(explain(new Failed(failure), SCENE), failure);
    assert.deepEqual(explain(new TypeError("odd"), { ...SCENE, path: null }), {
      code: "failed",
      message: "the database in memory: odd",
    });
  });
});
