import assert from "node:assert/strict";
import {
  connectError,
  preparedError,
  replyError,
  sqlStateOf,
  unsureError,
} from "#sidecar/stores/postgresql/failures.ts";

const SERVER = "postgresql at db:5432";

describe("what PostgreSQL answers", () => {
  const meanings: [sqlState: string, code: string, says: RegExp, again: string | null][] = [
    ["28P01", "unavailable", /check user and password/, null],
    ["08P01", "unavailable", /pgbouncer, its log says why/, null],
    ["40003", "unknown-outcome", /does not know whether the change was made/, null],
    ["53100", "unavailable", /no space left on its disk; free some, reads still work/, null],
    ["53300", "unavailable", /no free connection; lower maxConns/, null],
    ["53400", "unavailable", /run out of a resource/, null],
    ["25006", "unavailable", /takes no writes/, "elsewhere"],
    ["25P03", "unavailable", /client was silent/, "connection"],
    ["57P03", "unavailable", /starting up/, null],
    ["57P01", "unavailable", /shutting down/, "connection"],
    ["57014", "timeout", /nothing was written/, null],
    ["55P03", "unavailable", /lock_timeout/, null],
    ["40001", "unavailable", /try again/, "conflict"],
    ["40P01", "unavailable", /deadlock/, "conflict"],
    ["0A000", "failed", /does not support a statement of this driver/, null],
    ["42883", "failed", /lacks a function of this driver; is it another database than the type says/, null],
    ["26000", "failed", /queryExecMode to exec/, "connection"],
    ["22P05", "refused", /cannot hold a character/, null],
    ["54000", "refused", /of this size/, null],
    ["54001", "refused", /of this depth/, null],
    ["58030", "unavailable", /see its log/, null],
    ["XX001", "unavailable", /damaged data/, null],
    ["42601", "failed", /refused the statement/, null],
  ];
  for (const [sqlState, code, says, again] of meanings) {
    it(`is ${code} for ${sqlState}`, () => {
      const error = replyError(sqlState, SERVER);
      assert.deepEqual([error.code, error.again, error.reply], [code, again, sqlState]);
      assert.match(error.message, says);
      assert.match(error.message, new RegExp(`^${SERVER} .*\\(SQLSTATE ${sqlState}\\)$`));
    });
  }

  it("is a lost plan for 0A000 only where the statement was prepared", () => {
    const { again, message } = preparedError("0A000", SERVER);
    assert.equal(again, "connection");
    assert.match(message, /lost a prepared statement/);
    assert.equal(preparedError("22003", SERVER).message, replyError("22003", SERVER).message);
  });

  it("leaves a change open where the server's errors do not undo, unless they tell of a conflict or of the value", () => {
    for (const sqlState of ["53200", "57014", "58C00", "XX000", "XXUUU"])
      assert.match(unsureError(sqlState, SERVER).message, /does not know whether the change was made/);
    for (const sqlState of ["40001", "22003", "25006", "42P01"])
      assert.equal(unsureError(sqlState, SERVER).message, replyError(sqlState, SERVER).message);
  });

  it("never passes its own words on, which quote values", () => {
    const answer = Object.assign(new Error('invalid input: "s3cr3t"'), {
      code: "22P02",
      severity: "ERROR",
      detail: "s3cr3t",
    });
    assert.equal(sqlStateOf(answer), "22P02");
    const error = connectError(SERVER, answer);
    assert.doesNotMatch(`${error.stack}${JSON.stringify(error)}${String(error.cause)}`, /s3cr3t/);
  });

  it("is not what the system says, whose codes look alike", () => {
    assert.equal(sqlStateOf(Object.assign(new Error("x"), { code: "EPIPE" })), null);
    assert.match(
      connectError(SERVER, Object.assign(new Error("refused"), { code: "ECONNREFUSED" })).message,
      /: refused$/,
    );
  });
});
