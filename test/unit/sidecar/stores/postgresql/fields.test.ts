import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { v1Fields } from "#sidecar/stores/postgresql/fields.ts";
import { planServer, type ServerPlan } from "#sidecar/stores/postgresql/server-plan.ts";
import { prepare, type Version } from "./fixture.ts";

const URL = "postgres://u:p@h/d";

function faultsOf(version: Version, fields: Readonly<Record<string, string>>): string[] {
  const given = "connectionString" in fields || "url" in fields ? fields : { connectionString: URL, ...fields };
  return prepare(version, given).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

/** What a connection string and fields come to, on a machine with two cores. */
function planOf(connectionString: string, more: Readonly<Record<string, unknown>> = {}): ServerPlan {
  const defaults = Object.fromEntries(Object.entries(v1Fields).map(([name, field]) => [name, field.fallback]));
  const { plan, faults } = planServer(
    { ...defaults, connectionString, ...more } as Parameters<typeof planServer>[0],
    2,
  );
  assert.ok(plan !== null, faults.map(describeFault).join("\n"));
  return plan;
}

describe("the fields of state.postgresql", () => {
  const taken: [version: Version, given: Readonly<Record<string, string>>][] = [
    ["v1", { url: URL }],
    ["v1", { connectionString: "", host: "h", user: "u" }],
    ["v1", { timeoutInSeconds: "5", cleanupIntervalInSeconds: "", tableName: "x.y", lossyValues: "yes" }],
    ["v1", { cleanupInterval: "0", maxConns: "-1", connectionMaxIdleTime: "5m" }],
    ["v1", { queryExecMode: "simple_protocol", useAzureAD: "false", useAWSIAM: "no" }],
    ["v1", { connectionString: `${URL}?sslmode=require`, sslRootCert: "/ca.pem" }],
    ["v1", { connectionString: "host=/run/postgresql user=u", sslRootCert: "/ca.pem" }],
    ["v2", { sslRootCert: "/ca.pem", useAzureAD: "true", connectionString: "host=h user=u" }],
    ["v2", { tablePrefix: "public.x_", metadataTableName: "public.dapr_metadata" }],
    ["v2", { connectionString: "host=h user=u dbname=d pool_max_conns=3 search_path=x" }],
  ];
  for (const [version, given] of taken) {
    it(`of ${version} take ${JSON.stringify(given)}`, () => assert.deepEqual(faultsOf(version, given), []));
  }

  const refused: [version: Version, given: Readonly<Record<string, string>>, want: RegExp][] = [
    ["v1", { connectionString: "user=u" }, /^error connectionString: want a host, there or in the field host/],
    ["v1", { connectionString: "host=h" }, /^error connectionString: want a user, there or in the field user/],
    ["v1", { connectionString: "postgres://u:p@h:99999/d" }, /want a port from 1 to 65535/],
    ["v1", { connectionString: "postgres://u@a:1,b:2,c/d?port=1,2" }, /as many ports/],
    ["v1", { connectionString: `${URL}?sslmode=maybe` }, /sslmode=disable, allow, prefer/],
    ["v1", { connectionString: `${URL}?sslcert=a` }, /both sslcert and sslkey/],
    ["v1", { connectionString: `${URL}?service=x` }, /want no parameter service; write out/],
    ["v1", { connectionString: `${URL}?krbspn=x` }, /want no parameter krbspn/],
    ["v1", { connectionString: `${URL}?target_session_attrs=standby` }, /any, read-write or primary/],
    ["v1", { connectionString: `${URL}?pool_max_conns=0` }, /pool_max_conns from 1/],
    ["v1", { connectionString: `${URL}?pool_max_conn_idle_time=5` }, /pool_max_conn_idle_time as a duration/],
    ["v1", { connectionString: `${URL}?connect_timeout=soon` }, /connect_timeout in seconds/],
    ["v1", { connectionString: `${URL}?default_query_exec_mode=x` }, /default_query_exec_mode=cache_statement/],
    ["v1", { timeout: "500ms" }, /^error timeout: got "500ms", want a duration from 1000ms/],
    ["v1", { queryExecMode: "fast" }, /^error queryExecMode: got "fast"/],
    ["v1", { tableName: "a; drop" }, /^error tableName: got "a; drop", want a table's name/],
    ["v2", { tablePrefix: "1" }, /^error tablePrefix/],
    ["v1", { tableName: "dapr_metadata" }, /^error metadataTableName: got "dapr_metadata", want another table/],
    ["v2", { metadataTableName: "STATE" }, /^error metadataTableName/],
  ];
  for (const [version, given, want] of refused) {
    it(`of ${version} refuse ${JSON.stringify(given)}`, () => {
      const errors = faultsOf(version, given).filter((fault) => fault.startsWith("error"));
      assert.equal(errors.length, 1, errors.join("\n"));
      assert.match(errors[0] ?? "", want);
    });
  }

  const warned: [version: Version, given: Readonly<Record<string, string>>, want: RegExp][] = [
    ["v2", { tableName: "x" }, /^warning tableName: .* version v2 has tablePrefix/],
    ["v1", { tablePrefix: "x" }, /^warning tablePrefix: .* version v1 has tableName/],
    ["v2", { lossyValues: "true" }, /^warning lossyValues: want a field that this store has/],
    ["v1", { tenantId: "x" }, /^warning azureTenantId: .* useAzureAD, which is off/],
    ["v1", { secretKey: "x" }, /^warning awsSecretKey: .* useAWSIAM, which is off/],
    [
      "v1",
      { connectionString: `${URL}?sslmode=disable`, sslRootCert: "/ca.pem" },
      /^warning sslRootCert: want sslmode=verify-full or verify-ca beside it; with disable nothing is encrypted$/,
    ],
    [
      "v2",
      { sslRootCert: "/ca.pem" },
      /^warning sslRootCert: .*; with prefer, the default, any certificate is taken, and a connection without TLS too$/,
    ],
    [
      "v1",
      { connectionString: `${URL}?sslmode=allow&sslrootcert=/ca.pem` },
      /^warning connectionString: want sslmode=verify-full or verify-ca beside sslrootcert; with allow any/,
    ],
    ["v1", { connectionString: `${URL}?pool_min_conns=2` }, /^warning connectionString: want no pool_min_conns/],
  ];
  for (const [version, given, want] of warned) {
    it(`of ${version} warn of ${JSON.stringify(given)} and go on`, () => {
      const faults = faultsOf(version, given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
    });
  }

  it("never show a connection string or a password", () => {
    const given = { connectionString: "postgres://u:s3cr3t@h:x/d", password: "s3cr3t", awsSecretKey: "s3cr3t" };
    assert.doesNotMatch(faultsOf("v1", given).join("\n"), /s3cr3t/);
  });

  it("come before the connection string's parts", () => {
    const more = { host: "a", port: "1", database: "b", user: "c", password: "e", sslRootCert: "f" };
    const { endpoints, database, user, password, files } = planOf(`${URL}?sslrootcert=x`, more);
    assert.deepEqual(
      [endpoints, database, user, password, files.root],
      [[{ host: "a", address: "a", port: 1 }], "b", "c", "e", "f"],
    );
  });

  it("name several hosts, and addresses for them", () => {
    assert.deepEqual(planOf("postgres://u@a:1,b/d").endpoints, [
      { host: "a", address: "a", port: 1 },
      { host: "b", address: "b", port: 5432 },
    ]);
    const { endpoints } = planOf("host=a,b hostaddr=10.0.0.1,10.0.0.2 port=7 user=u");
    assert.deepEqual(endpoints[1], { host: "b", address: "10.0.0.2", port: 7 });
  });

  const levels: [text: string, tls: readonly string[]][] = [
    ["", ["unverified", "none"]],
    ["?sslmode=allow", ["none", "unverified"]],
    ["?sslmode=disable", ["none"]],
    ["?sslmode=require", ["unverified"]],
    ["?sslmode=require&sslrootcert=x", ["authority"]],
    ["?sslmode=verify-ca", ["authority"]],
    ["?sslmode=verify-full", ["full"]],
    ["?sslmode=require&host=/run", ["none"]],
  ];
  for (const [text, tls] of levels) it(`speak TLS by ${text}`, () => assert.deepEqual(planOf(URL + text).tls, tls));

  it("size the pool as pgx does", () => {
    assert.equal(planOf(URL).maxConns, 4);
    assert.equal(planOf(`${URL}?pool_max_conns=7`).maxConns, 7);
    assert.equal(planOf(`${URL}?pool_max_conns=7`, { maxConns: 1 }).maxConns, 7);
    assert.equal(planOf(`${URL}?pool_max_conns=7`, { maxConns: 2 }).maxConns, 2);
    assert.deepEqual([planOf(URL).idleMs, planOf(URL).lifetimeMs], [1_800_000, 3_600_000]);
    assert.equal(planOf(`${URL}?pool_max_conn_idle_time=5m`).idleMs, 300_000);
    assert.equal(planOf(`${URL}?pool_max_conn_idle_time=5m`, { connectionMaxIdleTime: 1000 }).idleMs, 1000);
  });

  it("prepare statements unless told otherwise", () => {
    assert.equal(planOf(URL).prepares, true);
    assert.equal(planOf(`${URL}?default_query_exec_mode=exec`).prepares, false);
    assert.equal(planOf(`${URL}?default_query_exec_mode=exec`, { queryExecMode: "cache_statement" }).prepares, true);
  });

  it("pass what they do not know on to the session", () => {
    assert.deepEqual(planOf(`${URL}?search_path=a&application_name=b&pool_min_conns=1&sslmode=disable`).session, {
      search_path: "a",
      application_name: "b",
    });
  });
});
