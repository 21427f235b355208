// What a manifest says: the fields, the connection string, and what both mean together. No server.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { readConnectionString } from "#sidecar/stores/mysql/connection-string.ts";
import type { MysqlSettings } from "#sidecar/stores/mysql/fields.ts";
import { planServer } from "#sidecar/stores/mysql/server-plan.ts";
import { PEM } from "#test/stores/pem.ts";
import { prepare } from "./fixture.ts";

const PLAIN: MysqlSettings = {
  connectionString: "app:secret@tcp(db:3307)/",
  schemaName: "dapr_state_store",
  tableName: "state",
  metadataTableName: "dapr_metadata",
  timeoutInSeconds: 20,
  pemPath: "",
  pemContents: "",
  cleanupInterval: 0,
  maxConns: 10,
  lossyValues: false,
};

type Plan = NonNullable<ReturnType<typeof planServer>["plan"]>;

function planOf(more: Partial<MysqlSettings>): Plan {
  const { plan, faults } = planServer({ ...PLAIN, ...more });
  assert.ok(plan !== null, faults.map(describeFault).join("\n"));
  return plan;
}

function faultsOf(more: Partial<MysqlSettings>): readonly string[] {
  return planServer({ ...PLAIN, ...more }).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("a connection string of MySQL", () => {
  it("is read as go-sql-driver writes it, whatever the password holds", () => {
    const cases: [string, readonly unknown[]][] = [
      ["app:secret@tcp(db:3307)/", ["app", "secret", "tcp", "db:3307", ""]],
      ["app@/", ["app", "", "tcp", "", ""]],
      ["app:p/a:s@s?w)@tcp(db)/state", ["app", "p/a:s@s?w)", "tcp", "db", "state"]],
      ["app:x@unix(/run/my.sock)/a%2Fb?tls=false", ["app", "x", "unix", "/run/my.sock", "a/b"]],
      ["app:x@tcp([::1]:3306)/?a=1", ["app", "x", "tcp", "[::1]:3306", ""]],
      ["tcp(db)/", ["", "", "tcp", "db", ""]],
      ["/", ["", "", "tcp", "", ""]],
    ];
    for (const [text, [user, password, protocol, address, schema]] of cases) {
      const reading = readConnectionString(text);
      assert.ok("read" in reading, text);
      const { parameters: _, ...read } = reading.read;
      assert.deepEqual(read, { user, password, protocol, address, schema }, text);
    }
  });

  it("has parameters, decoded", () => {
    const reading = readConnectionString("a@/?tls=true&loc=US%2FPacific&sql_mode='A+B'&empty=&flag");
    assert.ok("read" in reading);
    assert.deepEqual(Object.fromEntries(reading.read.parameters), {
      tls: "true",
      loc: "US/Pacific",
      sql_mode: "'A B'",
      empty: "",
    });
  });

  it("that is none is answered by what was wanted, and never shown", () => {
    for (const text of ["", "secret", "app:secret@db:3306/", "a@tcp(db/", "a@pipe(x)/", "a@/%", "a@/?x=%zz"]) {
      const reading = readConnectionString(text);
      assert.ok("want" in reading, text);
      assert.doesNotMatch(reading.want, /secret|zz/);
    }
  });
});

describe("the plan of a MySQL store", () => {
  it("takes the server, the user and the times", () => {
    const { endpoint, user, password, schema, connectMs, timeoutMs } = planOf({});
    assert.deepEqual(endpoint, { kind: "tcp", host: "db", port: 3307 });
    assert.deepEqual(
      [user, password, schema, connectMs, timeoutMs],
      ["app", "secret", "dapr_state_store", 5000, 20_000],
    );
    assert.deepEqual(planOf({ connectionString: "a@/" }).endpoint, { kind: "tcp", host: "127.0.0.1", port: 3306 });
    assert.deepEqual(planOf({ connectionString: "a@tcp([::1])/" }).endpoint, { kind: "tcp", host: "::1", port: 3306 });
    assert.deepEqual(planOf({ connectionString: "a@unix(/s)/" }).endpoint, { kind: "socket", path: "/s" });
    assert.equal(planOf({ timeoutInSeconds: 0 }).timeoutMs, 20_000);
    assert.equal(planOf({ timeoutInSeconds: -1 }).timeoutMs, 20_000);
    assert.equal(planOf({ timeoutInSeconds: 3 }).connectMs, 3000);
    assert.equal(planOf({ connectionString: "a@/?timeout=1500ms" }).connectMs, 1500);
  });

  it("speaks TLS as tls says, and whenever an authority is named", () => {
    const tls = (parameters: string, more: Partial<MysqlSettings> = {}): readonly string[] =>
      planOf({ connectionString: `a@/?${parameters}`, ...more }).tls;
    assert.deepEqual(tls(""), ["none"]);
    assert.deepEqual(tls("tls=false"), ["none"]);
    assert.deepEqual(tls("tls=true"), ["full"]);
    assert.deepEqual(tls("tls=skip-verify"), ["unverified"]);
    assert.deepEqual(tls("tls=preferred"), ["unverified", "none"]);
    assert.deepEqual(tls("tls=custom", { pemPath: "/ca" }), ["full"]);
    assert.deepEqual(tls("", { pemContents: PEM }), ["full"]);
    assert.deepEqual(tls("tls=true", { pemContents: PEM }), ["full"]);
  });

  it("hands system variables on as SQL writes them", () => {
    const connectionString = "a@/?wsrep_sync_wait=1&tx_isolation='REPEATABLE-READ'&parseTime=true&loc=UTC&foo=ON";
    assert.deepEqual(planOf({ connectionString }).variables, [
      "wsrep_sync_wait = 1",
      "tx_isolation = 'REPEATABLE-READ'",
      "foo = ON",
    ]);
  });

  it("names every fault, and what to do, without the text", () => {
    const cases: [Partial<MysqlSettings>, RegExp][] = [
      [{ connectionString: "nonsense" }, /^error connectionString: want user:password@tcp/],
      [{ connectionString: "tcp(db)/" }, /^error connectionString: want a user/],
      [{ connectionString: "a@tcp(db:0)/" }, /^error connectionString: want a port from 1 to 65535/],
      [{ connectionString: "a@tcp(db:99999)/" }, /^error connectionString: want a port from 1 to 65535/],
      [{ connectionString: "a@tcp([::1]:4444444)/" }, /^error connectionString: want a port from 1 to 65535/],
      [{ connectionString: "a@tcp(:3306)/" }, /^error connectionString: want a server as tcp/],
      [
        { connectionString: "a@/other" },
        /^error connectionString: want no schema behind the slash; name it in schemaName/,
      ],
      [
        { connectionString: "a@/?tls=maybe" },
        /^error connectionString: want tls=false, preferred, skip-verify, true, custom/,
      ],
      [{ connectionString: "a@/?tls=custom" }, /^error pemPath: want an authority for tls=custom/],
      [
        { connectionString: "a@/?tls=false", pemPath: "/ca" },
        /^error connectionString: want tls=custom beside pemPath/,
      ],
      [{ pemPath: "/ca", pemContents: PEM }, /^error pemContents: want pemPath or pemContents, and not both/],
      [{ pemContents: "no PEM" }, /^error pemContents: want the PEM text of a certificate/],
      [{ connectionString: "a@/?timeout=5" }, /^error connectionString: want timeout as a duration/],
      [
        { connectionString: "a@/?serverPubKey=x" },
        /^error connectionString: want no parameter serverPubKey; use tls=true/,
      ],
      [{ connectionString: "a@/?autocommit=0" }, /^error connectionString: want no parameter autocommit/],
      [{ connectionString: "a@/?x=1;DROP" }, /^error connectionString: want system variables as name=value/],
      [
        { connectionString: "a@/?time_zone='%2B02:00'" },
        /^warning connectionString: want no time_zone: it has no effect/,
      ],
      [{ metadataTableName: "STATE" }, /^error metadataTableName: want another table than tableName names/],
    ];
    for (const [settings, fault] of cases) assert.match(faultsOf(settings).join("\n"), fault);
    assert.deepEqual(faultsOf({ connectionString: "a@/?allowNativePasswords=true&parseTime=true" }), []);
    assert.deepEqual(faultsOf({ connectionString: "a@/dapr_state_store" }), []);
  });
});

describe("the fields of state.mysql", () => {
  const faultTexts = (fields: Readonly<Record<string, string>>): readonly string[] =>
    prepare({ connectionString: "app:s3cr3t@/", ...fields }).faults.map(describeFault);

  it("need a connection string", () => {
    assert.match(prepare({}).faults.map(describeFault).join(), /connectionString: want a value/);
    assert.deepEqual(faultTexts({}), []);
  });

  it("take names of letters, digits and underscores, and nothing that could be SQL", () => {
    for (const name of ["a`b", "a.b", "", "a b", "x".repeat(65), "ä"]) {
      for (const field of ["schemaName", "tableName", "metadataTableName"])
        assert.match(faultTexts({ [field]: name }).join(), /want 1 to 64 ASCII letters/, `${field} ${name}`);
    }
    assert.deepEqual(faultTexts({ schemaName: "A_1", tableName: "9", metadataTableName: "m" }), []);
  });

  it("take the names that only Dapr's documents have", () => {
    assert.deepEqual(faultTexts({ cleanupIntervalInSeconds: "60", pemContents: PEM }), []);
    assert.match(faultTexts({ cleanupInterval: "60", cleanupIntervalInSeconds: "60" }).join(), /once/);
  });

  it("never show the connection string", () => {
    assert.doesNotMatch(faultTexts({ connectionString: "app:s3cr3t@db/" }).join(), /s3cr3t/);
    assert.match(faultTexts({ connectionString: "app:s3cr3t@db/" }).join(), /connectionString: want user:password/);
  });

  it("give equal settings equal fingerprints", () => {
    const fingerprint = (fields: Record<string, string>): string | null =>
      prepare({ connectionString: "a@/", ...fields }).fingerprint;
    assert.equal(fingerprint({ cleanupInterval: "1h" }), fingerprint({ cleanupIntervalInSeconds: "3600" }));
    assert.notEqual(fingerprint({ tableName: "x" }), fingerprint({}));
  });
});
