import assert from "node:assert/strict";
import { readConnectionString } from "#sidecar/stores/sqlserver/connection-string.ts";

function read(text: string): Readonly<Record<string, string>> {
  const reading = readConnectionString(text);
  assert.ok("read" in reading, JSON.stringify(reading));
  return Object.fromEntries(reading.read);
}

describe("a connection string of SQL Server", () => {
  it("is read as ADO writes it, whatever the spelling of its names", () => {
    assert.deepEqual(read("Data Source=db;Initial Catalog=d ; UID=app;Pwd=p=1;Trust Server Certificate=true;"), {
      server: "db",
      database: "d",
      "user id": "app",
      password: "p=1",
      trustservercertificate: "true",
    });
  });

  it("takes a password in quotes with everything in it", () => {
    assert.equal(read(`server=db;password="a;b=""c'";user id=u`).password, `a;b="c'`);
    assert.equal(read(`server=db;password="a;b" ;user id=u`)["user id"], "u");
  });

  it("takes a quote for a character where it encloses nothing, as the go-mssqldb of Dapr does", () => {
    assert.equal(read("server=db;password='a';user id=u").password, "'a'");
    assert.equal(read(`server=db;password="a;user id=u`).password, '"a');
    assert.equal(read(`server=db;password="a"b;user id=u`).password, '"a"b');
  });

  it("takes the form of ODBC with its braces", () => {
    assert.deepEqual(read("odbc:server=db;user id=u;password={a;}}b}"), {
      server: "db",
      "user id": "u",
      password: "a;}b",
    });
  });

  it("takes a URL with an instance and parameters, and decodes its parts", () => {
    assert.deepEqual(read("sqlserver://us%40er:p%2Fw%3F@db:1533/inst?database=d&app+name=my+app"), {
      server: "db\\inst",
      "user id": "us@er",
      password: "p/w?",
      port: "1533",
      database: "d",
      "app name": "my app",
    });
  });

  it("refuses what is none of the three, and shows nothing of it", () => {
    for (const text of ["nonsense", "server=db;nonsense", "odbc:server=db;password={open", "sqlserver://u:%zz@db"]) {
      const reading = readConnectionString(text);
      assert.ok("want" in reading, text);
      assert.doesNotMatch(reading.want, /nonsense|open|zz/);
    }
    assert.ok("want" in readConnectionString("odbc:server=db;password={a}b"));
  });
});
