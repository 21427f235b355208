// What opening asks of the server: database, schema and tables of Dapr's layouts (dapr-state-stores.md 8b), made, completed
// or refused. The server of these tests knows no SQL: it has the tables that a test says.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { systemClock } from "#kit/clock.ts";
import type { ServerPlan } from "#sidecar/stores/sqlserver/server-plan.ts";
import { Session, type SessionOptions } from "#sidecar/stores/sqlserver/session.ts";
import { TdsServer } from "#test/servers/tds/tds-server.ts";
import { open } from "#test/stores/opening.ts";
import {
  call,
  columnsAnswer,
  connectionTo,
  eventually,
  type Fields,
  KEY,
  listeningLog,
  METADATA,
  openStore,
  prepare,
  read,
  V1,
  V2,
  type Version,
} from "./fixture.ts";

type Tables = Record<string, typeof V1>;

const CI = "SQL_Latin1_General_CP1_CI_AS";

describe("opening SQL Server", () => {
  let server: TdsServer | null = null;

  afterEach(async () => {
    await server?.stop();
    server = null;
  });

  interface Opened {
    readonly texts: readonly string[];
    readonly warnings: readonly string[];
    readonly features: { readonly list: boolean };
    readonly keyBytesMax: number | null;
  }

  /** Opens and closes a store; tables appear once they are made. */
  async function opened(tables: Tables, fields: Fields = {}, version: Version = "v1"): Promise<Opened> {
    const there = { ...tables };
    server = await TdsServer.start({
      answer: (request) => {
        const made = /^CREATE TABLE \[\w+\]\.\[(\w+)\]/.exec(request.text)?.[1];
        if (made !== undefined) there[made] = made === "dapr_metadata" ? METADATA : version === "v1" ? V1 : V2;
        return columnsAnswer(request, there);
      },
    });
    const log = listeningLog();
    const store = await openStore({ fields: { connectionString: connectionTo(server.port), ...fields }, version, log });
    const { features, limits } = store;
    await store.close();
    const texts = server.requests.map(({ text }) => text).filter((text) => /^(CREATE|ALTER|IF)/.test(text));
    return { texts, warnings: log.warnings, features, keyBytesMax: limits.keyBytesMax };
  }

  it("makes the tables of v1", async () => {
    const { texts } = await opened({});
    assert.deepEqual(texts, [
      "IF SCHEMA_ID(N'dbo') IS NULL EXEC(N'CREATE SCHEMA [dbo]');",
      "CREATE TABLE [dbo].[dapr_metadata] ([Key] NVARCHAR(200) NOT NULL CONSTRAINT [PK_dapr_metadata] PRIMARY KEY, [Value] NVARCHAR(MAX) NOT NULL);",
      "CREATE TABLE [dbo].[state] ([Key] NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL CONSTRAINT [PK_state] PRIMARY KEY, [Data] NVARCHAR(MAX) NOT NULL, [InsertDate] DATETIME2 NOT NULL DEFAULT(GETDATE()), [UpdateDate] DATETIME2 NULL, [ExpireDate] DATETIME2 NULL, [RowVersion] ROWVERSION NOT NULL);",
    ]);
  });

  it("makes the table of v2, with keys as numbers, its own names and indexed properties", async () => {
    const fields = {
      ...{ schemaName: "shop", tableName: "orders", keyType: "integer" },
      indexedProperties: '[{"column":"customer","property":"customer.id","type":"nvarchar(50)"}]',
    };
    const orders = [["Key", "int", null, null], ...V2.slice(1), ["customer", "nvarchar", 50, CI]] as typeof V2;
    server = await TdsServer.start({
      answer: (request) =>
        columnsAnswer(request, {
          dapr_metadata: METADATA,
          ...(server?.requests.some(({ text }) => text.startsWith("CREATE TABLE")) === true ? { orders } : {}),
        }),
    });
    const store = await openStore({
      fields: { connectionString: connectionTo(server.port), ...fields },
      version: "v2",
    });
    await store.close();
    const texts = server.requests.map(({ text }) => text).filter((text) => /^(CREATE|IF)/.test(text));
    assert.deepEqual(texts, [
      "CREATE TABLE [shop].[orders] ([Key] INT NOT NULL CONSTRAINT [PK_orders] PRIMARY KEY, [Data] NVARCHAR(MAX) NULL, [BinaryData] VARBINARY(MAX) NULL, [isBinary] BIT NOT NULL DEFAULT 0, [InsertDate] DATETIME2 NOT NULL DEFAULT(GETDATE()), [UpdateDate] DATETIME2 NULL, [ExpireDate] DATETIME2 NULL, [customer] AS CONVERT(nvarchar(50), JSON_VALUE([Data], N'$.customer.id')) PERSISTED, [RowVersion] ROWVERSION NOT NULL);",
      "IF INDEXPROPERTY(OBJECT_ID(N'[shop].[orders]'), N'IX_customer', 'IndexID') IS NULL CREATE INDEX [IX_customer] ON [shop].[orders] ([customer]);",
    ]);
    assert.equal(store.features.list, false);
  });

  it("changes nothing where the tables are there", async () => {
    const { texts, features, keyBytesMax } = await opened({ state: V1, dapr_metadata: METADATA });
    assert.deepEqual([texts, features.list, keyBytesMax], [[], true, 200]);
  });

  it("adds what an older Dapr's table lacks, and columns of properties that came later", async () => {
    const older = V1.filter(([name]) => name !== "ExpireDate");
    const tables: Tables = { state: older, dapr_metadata: METADATA };
    server = await TdsServer.start({
      answer: (request) => {
        if (request.text.includes("ADD [ExpireDate]")) tables.state = V1;
        return columnsAnswer(request, tables);
      },
    });
    const fields = {
      connectionString: connectionTo(server.port),
      indexedProperties: '[{"column":"c","property":"a","type":"int"}]',
    };
    await (await openStore({ fields })).close();
    const texts = server.requests.map(({ text }) => text).filter((text) => text.startsWith("ALTER"));
    assert.deepEqual(texts, [
      "ALTER TABLE [dbo].[state] ADD [ExpireDate] DATETIME2 NULL;",
      "ALTER TABLE [dbo].[state] ADD [c] AS CONVERT(int, JSON_VALUE([Data], N'$.a')) PERSISTED;",
    ]);
  });

  it("refuses the other version's table, and one with other columns or keys", async () => {
    const refusal = async (state: typeof V1, fields: Fields, version: Version): Promise<void> => {
      await server?.stop();
      await opened({ state, dapr_metadata: METADATA }, fields, version);
    };
    await assert.rejects(refusal(V2, {}, "v1"), { code: "corrupt", message: /it is of version v2/ });
    await assert.rejects(refusal(V1, {}, "v2"), { code: "corrupt", message: /it is of version v1/ });
    await assert.rejects(refusal([KEY], {}, "v1"), { code: "corrupt", message: /no column Data, InsertDate/ });
    await assert.rejects(refusal(V1, { keyType: "uuid" }, "v1"), {
      code: "corrupt",
      message: /Key is of the type nvarchar, and keyType is uuid/,
    });
  });

  it("warns of a table whose collation takes different keys for the same, and does not list over it", async () => {
    const state = V1.map((column) => (column === KEY ? (["Key", "nvarchar", 200, CI] as const) : column));
    const { features, warnings } = await opened({ state, dapr_metadata: METADATA });
    assert.equal(features.list, false);
    assert.ok(warnings.some((each) => each.includes("takes different keys for the same") && each.includes(CI)));
  });

  it("says at every start that it was never run against a real server", async () => {
    const { warnings } = await opened({ state: V1, dapr_metadata: METADATA });
    assert.deepEqual(warnings.length, 1);
    assert.match(warnings[0] ?? "", /never run against a real server/);
  });

  it("says it once where opening fails and is tried again", async () => {
    server = await TdsServer.start({ login: () => ({ number: 18_456, severity: 14 }), answer: () => null });
    const prepared = prepare({ connectionString: connectionTo(server.port) });
    const log = listeningLog();
    for (let turn = 0; turn < 3; turn++) await assert.rejects(open(prepared, { log }), { code: "unavailable" });
    assert.equal(log.warnings.length, 1);
  });

  it("makes the database where the connection string names none, and only then", async () => {
    let isMade = false;
    server = await TdsServer.start({
      login: ({ database }) => (database === "dapr" && !isMade ? { number: 4060, severity: 11 } : null),
      answer: (request) => {
        if (request.text === "CREATE DATABASE [dapr];") isMade = true;
        return columnsAnswer(request, { state: V1, dapr_metadata: METADATA });
      },
    });
    const connectionString = connectionTo(server.port);
    await assert.rejects(openStore({ fields: { connectionString: `${connectionString};database=dapr` } }), {
      code: "unavailable",
      message: /no such database/,
    });
    assert.equal(isMade, false);
    await (await openStore({ fields: { connectionString } })).close();
    assert.equal(isMade, true);
    assert.deepEqual(server.logins.map(({ database }) => database).slice(1, 4), ["dapr", "", "dapr"]);
  });

  it("takes what another sidecar makes in the same moment for made, and any other error for one", async () => {
    let number = 2714;
    const tables: Tables = { dapr_metadata: METADATA };
    server = await TdsServer.start({
      answer: (request) => {
        if (!request.text.startsWith("CREATE TABLE")) return columnsAnswer(request, tables);
        tables.state = V1;
        return { error: { number } };
      },
    });
    const fields = { connectionString: connectionTo(server.port) };
    await (await openStore({ fields })).close();
    delete tables.state;
    number = 262;
    await assert.rejects(openStore({ fields }), { code: "unavailable", message: /rights/ });
    await eventually(async () => assert.equal(server?.open, 0));
  });

  it("leaves no connection behind when the table is refused", async () => {
    await assert.rejects(opened({ state: [KEY], dapr_metadata: METADATA }), { code: "corrupt" });
    await eventually(async () => assert.equal(server?.open, 0));
  });

  it("removes expired rows, one sidecar at a time, until few are left", async () => {
    const counts = [1, 4000, 12];
    server = await TdsServer.start({
      answer: (request) =>
        request.text.includes("last-cleanup") || request.text.startsWith("DELETE TOP")
          ? { columns: [{ name: "Changed", type: "int" }], rows: [[counts.shift() ?? 0]] }
          : columnsAnswer(request, { state: V1, dapr_metadata: METADATA }),
    });
    const store = await openStore({ fields: { connectionString: connectionTo(server.port), cleanupInterval: "50ms" } });
    const asked = (): readonly string[] =>
      (server?.requests ?? []).map(({ text }) => text).filter((text) => /last-cleanup|DELETE TOP/.test(text));
    await eventually(async () => assert.ok(asked().length >= 4));
    await store.close();
    const [claim, first, second, next] = asked().map((text) => /last-cleanup|DELETE TOP/.exec(text)?.[0]);
    assert.deepEqual([claim, first, second, next], ["last-cleanup", "DELETE TOP", "DELETE TOP", "last-cleanup"]);
    const values = server.requests.find(({ text }) => text.includes("last-cleanup"))?.values;
    assert.deepEqual(values, { Seconds: 0, Milliseconds: 50 });
  });

  it("cleans up unasked where the metadata table's keys are no texts, and says so", async () => {
    const metadata = [["Key", "uniqueidentifier", null, null], ...METADATA.slice(1)] as typeof METADATA;
    const tables = { state: V1, dapr_metadata: metadata };
    server = await TdsServer.start({ answer: (request) => columnsAnswer(request, tables) });
    const log = listeningLog();
    const fields = { connectionString: connectionTo(server.port), cleanupInterval: "20ms" };
    const store = await openStore({ fields, log });
    await eventually(async () => assert.ok(server?.requests.some(({ text }) => text.startsWith("DELETE TOP"))));
    await store.close();
    assert.ok(log.warnings.some((each) => each.includes("every sidecar cleans up for itself")));
    assert.equal(
      server.requests.some(({ text }) => text.includes("last-cleanup")),
      false,
    );
  });

  const azure = { azureTenantId: "", azureClientId: "", azureClientSecret: "", azureCertificate: "" };
  const more = { azureCertificateFile: "", azureCertificatePassword: "", azureEnvironment: "AzurePublicCloud" };

  function withToken(port: number, token: () => Promise<string>): SessionOptions {
    const plan: ServerPlan = {
      ...{ host: "127.0.0.1", port, instance: null, encryption: "none", trustsAnyone: false },
      ...{ authorityFile: null, certificateName: null, database: "dapr", databaseGiven: false },
      ...{ applicationName: null, workstation: null, multiSubnetFailover: false, packetSize: 4096 },
      ...{ connectMs: 1000, timeoutMs: 1000, signIn: { kind: "azure", settings: { ...azure, ...more } } },
    };
    const rest = { database: "dapr", authority: null, applicationName: "pannier-test", lockMs: 1000 };
    return { plan, token, ...rest, clock: systemClock };
  }

  it("signs in with a token where one is given, and with no password", async () => {
    server = await TdsServer.start();
    const session = await Session.open(
      withToken(server.port, async () => "the-token"),
      new AbortController().signal,
    );
    session.close();
    const { token, user, password } = server.logins[0] ?? {};
    assert.deepEqual([token, user, password], ["the-token", "", ""]);
  });

  it("sends nothing while a statement is under way, also one that was given up", async () => {
    server = await TdsServer.start({
      answer: ({ text }) => (text.startsWith("SET XACT_ABORT") ? null : { instead: "deaf" }),
    });
    const options = withToken(server.port, async () => "the-token");
    const session = await Session.open(options, new AbortController().signal);
    const statement = { text: "SELECT 1;", lasting: false, parameters: [] };
    const first = session.run(statement);
    const sent = (): number => server?.requests.filter(({ text }) => text === statement.text).length ?? 0;
    await eventually(async () => assert.equal(sent(), 1));
    await assert.rejects(session.run(statement), { code: "unavailable", message: /lost the connection/ });
    session.interrupt("left");
    await assert.rejects(first, { code: "timeout" });
    await assert.rejects(session.run(statement), { code: "unavailable", message: /lost the connection/ });
    session.close();
    await session.ended;
    assert.equal(sent(), 1);
  });

  it("waits no longer for a token than for a connection, and not for one when it is closed", async () => {
    server = await TdsServer.start();
    const options = withToken(server.port, () => new Promise(() => undefined));
    await assert.rejects(Session.open(options, new AbortController().signal), {
      code: "unavailable",
      message: /no answer within 1000 ms/,
    });
    await assert.rejects(Session.open(options, AbortSignal.timeout(10)), { code: "closed" });
  });

  it("reads after a failed write of the layout: a server that takes no writes still serves reads", async () => {
    server = await TdsServer.start({
      answer: (request) =>
        /^(CREATE|ALTER|IF)/.test(request.text)
          ? { error: { number: 3906 } }
          : columnsAnswer(request, { state: V1, dapr_metadata: METADATA }),
    });
    const store = await openStore({ fields: { connectionString: connectionTo(server.port) } });
    assert.equal(await store.get("k", read, call), null);
    await store.close();
  });
});

describe("the client library", () => {
  it("comes without the packages that it asks for and that no code here runs", () => {
    // In a process of its own: in this one tests of other stores may have loaded them.
    const module = new URL("../../../../../sidecar/stores/sqlserver/sqlserver.ts", import.meta.url).href;
    const script = `await import(${JSON.stringify(module)});
      const { createRequire } = await import("node:module");
      process.stdout.write(JSON.stringify(Object.keys(createRequire(${JSON.stringify(module)}).cache)));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
      encoding: "utf8",
    });
    assert.equal(stderr, "");
    const loaded: readonly string[] = JSON.parse(stdout);
    assert.ok(loaded.some((path) => path.includes("/tedious/lib/")));
    assert.deepEqual(
      loaded.filter((path) => path.includes("/node_modules/@azure/")),
      [],
    );
  });
});
