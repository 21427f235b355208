import assert from "node:assert/strict";
import { readConnectionString } from "#sidecar/stores/postgresql/connection-string.ts";

function parametersOf(text: string): Record<string, string> {
  const reading = readConnectionString(text);
  assert.ok("parameters" in reading, `refused: ${JSON.stringify(reading)}`);
  return Object.fromEntries(reading.parameters);
}

describe("a connection string of PostgreSQL", () => {
  const taken: [text: string, want: Record<string, string>][] = [
    ["", {}],
    ["postgres://localhost", { host: "localhost" }],
    ["postgresql://u:p@h:5433/d", { user: "u", password: "p", host: "h", port: "5433", database: "d" }],
    ["POSTGRES://u@h/", { user: "u", host: "h" }],
    ["postgres://u:p%40%2F%25@h/a%20b", { user: "u", password: "p@/%", host: "h", database: "a b" }],
    ["postgres://u:a@b@h/d", { user: "u", password: "a@b", host: "h", database: "d" }],
    ["postgres://[::1]:5433/d", { host: "::1", port: "5433", database: "d" }],
    ["postgres://a:1,b,c:3/d", { host: "a,b,c", port: "1,,3", database: "d" }],
    ["postgres:///d?host=/var/run", { database: "d", host: "/var/run" }],
    ["postgres://%2Frun%2Fpg/d", { host: "/run/pg", database: "d" }],
    ["postgres://h/d?sslmode=require&dbname=e", { host: "h", database: "e", sslmode: "require" }],
    ["host=h user=u dbname=d", { host: "h", user: "u", database: "d" }],
    [" host = h\n\tport= 5433 ", { host: "h", port: "5433" }],
    ["password='it\\'s a \\\\ b' user=u", { password: "it's a \\ b", user: "u" }],
    // libpq and pgx pass over blanks behind the sign too.
    ["password= user=u", { password: "user=u" }],
    ["password='' user=u", { password: "", user: "u" }],
    ["password=a\\ b", { password: "a b" }],
    ["user=u user=v", { user: "v" }],
  ];
  for (const [text, want] of taken) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parametersOf(text), want));
  }

  const refused = [
    "host",
    "host=h s3cr3t",
    "password='s3cr3t",
    "password='s3cr3t'x",
    "password=s3'cr3t",
    "=s3cr3t",
    "postgres://u:s3cr3t%zz@h/d",
    "postgres://u:s3cr3t#@h/d",
    "postgres://h:s3cr3t/d",
    "postgres://u:s3cr3t@[s3/d",
    "mysql://u:s3cr3t@h/d",
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text)} and shows nothing of it`, () => {
      const reading = readConnectionString(text);
      assert.ok("want" in reading);
      assert.doesNotMatch(reading.want, /s3/);
    });
  }
});
