// The rows of docs/differences.md that show on SQL Server. There is none to run against: what the driver asks goes to a
// server of ours that speaks TDS and knows no SQL, so these hold the driver to its side of each row.
import assert from "node:assert/strict";
import { decodeStore } from "#sidecar/components/decode.ts";
import { driver } from "#sidecar/stores/sqlserver/sqlserver.ts";
import { type TdsRequest, TdsServer } from "#test/servers/tds/tds-server.ts";
import {
  type Bench,
  type BenchOptions,
  call,
  changed,
  columnsAnswer,
  connectionTo,
  ETAG,
  METADATA,
  openBench,
  openStore,
  prepare,
  removal,
  transact,
  upsert,
  V1,
  V2,
  write,
} from "#test/unit/sidecar/stores/sqlserver/fixture.ts";
import { ask } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";

describe("differences on SQL Server", () => {
  let bench: Bench | null = null;

  async function open(options: BenchOptions = {}): Promise<Bench> {
    bench = await openBench(options);
    return bench;
  }
  afterEach(async () => {
    await bench?.stop();
    bench = null;
  });

  it("SS1: ttlInSeconds 0 and -1 mean no expiry", async () => {
    const server = await TdsServer.start({
      answer: (request) => columnsAnswer(request, { state: V1, dapr_metadata: METADATA }),
    });
    const manifest = component("own", "state.sqlserver", { connectionString: connectionTo(server.port) });
    const wire = await startWire({ manifests: { "a.yaml": manifest } });
    try {
      for (const ttlInSeconds of ["0", "-1", "5"]) {
        const items = [{ key: "ss1", value: 1, metadata: { ttlInSeconds } }];
        assert.equal((await ask(wire, "POST", "/v1.0/state/own", items)).status, 204);
      }
      const told = server.requests.filter(({ text }) => text.includes("@TTL")).map(({ values }) => values.TTL);
      assert.deepEqual(told, [null, null, 5]);
    } finally {
      await wire.stop();
      await server.stop();
    }
  });

  it("SS2: a first-write over a value is a conflict", async () => {
    const { store } = await open({ answer: () => changed(0) });
    await assert.rejects(store.set(write("k", "1", { firstWrite: true }), call), { code: "etag-mismatch" });
    const etag = { etag: ETAG, firstWrite: true };
    await assert.rejects(store.set(write("k", "1", etag), call), { code: "etag-mismatch" });
  });

  it("SS3: an expired row that is not collected yet is no value: first-write writes, its ETag is a conflict", async () => {
    const { store, requests } = await open({ answer: () => changed(1) });
    await store.set(write("k", "1", { firstWrite: true }), call);
    await store.set(write("k", "1", { etag: ETAG }), call);
    await store.remove(removal("k", { etag: ETAG }), call);
    const live = "([ExpireDate] IS NULL OR [ExpireDate] > SYSDATETIME())";
    const [create, replace, remove] = requests().map(({ text }) => text);
    assert.ok(create?.includes(`AND NOT ${live}`));
    assert.ok(replace?.includes(`AND ${live} AND [RowVersion] = @RowVersion`));
    assert.ok(remove?.includes(`AND ${live} AND [RowVersion] = @RowVersion`));
  });

  it("SS4: keys that the collation takes for the same never share a row", async () => {
    const { store, requests } = await open({
      answer: ({ kind }) => (kind === "call" ? { error: { number: 2627 } } : null),
    });
    await assert.rejects(store.set(write("Order", "1"), call), { code: "refused", message: /takes another row/ });
    assert.match(
      requests()[0]?.text ?? "",
      /CONVERT\(VARBINARY\(8000\), \[Key\]\) = CONVERT\(VARBINARY\(8000\), @Key\)/,
    );
  });

  it("SS5: v1 refuses raw bytes that are no text", async () => {
    const { store, requests } = await open();
    const raw = write("k", "", { bytes: Uint8Array.of(0xff), isJson: false });
    await assert.rejects(store.set(raw, call), { code: "refused", message: /version v2 keeps any bytes/ });
    assert.equal(requests().length, 0);
  });

  it("SS6: a connection that is not said to be open is encrypted from end to end", async () => {
    const { server } = await open();
    const connectionString = connectionTo(server.port).replace(";encrypt=disable", "");
    await assert.rejects(openStore({ fields: { connectionString } }), { message: /check encrypt/ });
  });

  it("SS7: a key has at most as many bytes as the column has characters", async () => {
    const { store, requests } = await open();
    await assert.rejects(store.set(write("\u00e4".repeat(101), "1"), call), { code: "refused" });
    await store.set(write("\u00e4".repeat(100), "1"), call);
    assert.equal(requests().length, 1);
  });

  it("SS8: ETags of a transaction are compared before its first change, and a deadlock is tried again", async () => {
    let deadlocks = 1;
    const answer = ({ text }: TdsRequest): ReturnType<typeof changed> | null => {
      if (text.startsWith("UPDATE") && deadlocks-- > 0) return { error: { number: 1205, severity: 13 } };
      if (!text.includes("AS [Live]")) return null;
      const columns = [
        { name: "Key", type: "nvarchar" },
        { name: "RowVersion", type: "binary" },
        { name: "Live", type: "int" },
      ] as const;
      return { columns, rows: [["a", Buffer.from(ETAG, "hex"), 1]] };
    };
    const { store, requests } = await open({ answer });
    await transact(store, [upsert("a", "1", { etag: ETAG }), upsert("a", "2", { etag: ETAG })]);
    const kinds = requests().map(({ kind }) => kind);
    assert.deepEqual(kinds, ["begin", "call", "call", "begin", "call", "call", "commit"]);
    assert.equal(requests().at(-2)?.values.Data0, "2");
  });

  it("SS9: the metadata table has texts as keys, whatever keyType says", async () => {
    const server = await TdsServer.start();
    try {
      const fields = { connectionString: connectionTo(server.port), keyType: "uuid" };
      // Nothing that it makes is there afterwards, on a server that knows no SQL.
      await assert.rejects(openStore({ fields }), { code: "corrupt" });
      const made = server.requests.find(({ text }) => text.startsWith("CREATE TABLE [dbo].[dapr_metadata]"));
      assert.match(made?.text ?? "", /\(\[Key\] NVARCHAR\(200\)/);
    } finally {
      await server.stop();
    }
  });

  it("SS10: no procedure is made or called, and a table of the other version is refused", async () => {
    const { store, server } = await open();
    await store.set(write("k", "1"), call);
    assert.equal(
      server.requests.some(({ text }) => /PROCEDURE|EXEC sp_|CREATE TYPE/i.test(text)),
      false,
    );
    await assert.rejects(openBench({ version: "v1", columns: V2 }), { code: "corrupt", message: /version v2/ });
  });

  it("SS11: keys of keyType uuid and integer have one spelling", async () => {
    const columns = [["Key", "uniqueidentifier", null, null], ...V1.slice(1)] as typeof V1;
    const { store } = await open({ fields: { keyType: "uuid" }, columns });
    const key = "01234567-89ab-cdef-0123-456789abcdef";
    await store.set(write(key, "1"), call);
    await assert.rejects(store.set(write(key.toUpperCase(), "1"), call), { code: "refused" });
    await assert.rejects(store.set(write(`${key}0`, "1"), call), { code: "refused" });
  });

  it("SS12: what the client cannot do is refused when the Component opens", async () => {
    const faults = (connectionString: string): readonly string[] =>
      prepare({ connectionString })
        .faults.filter(({ severity }) => severity === "error")
        .map(({ want }) => want);
    assert.match(faults("server=db;user id=CORP\\u;password=p").join(), /a user of the server itself/);
    assert.match(faults("server=db;user id=u;failoverpartner=other").join(), /no parameter failoverpartner/);
    assert.match(faults("server=db;user id=u;ApplicationIntent=ReadOnly").join(), /ApplicationIntent/);
    const open = { connectionString: "server=db;encrypt=disable", useAzureAD: "true" };
    assert.match(
      prepare(open)
        .faults.map(({ want }) => want)
        .join(),
      /encryption beside useAzureAD/,
    );
  });

  it("SS13: double quotes around a value of the connection string enclose it", async () => {
    const { server } = await open();
    for (const [written, password] of [
      ['"semi;colon"', "semi;colon"],
      ['half"', 'half"'],
    ]) {
      const connectionString = connectionTo(server.port).replace("secret-password", written ?? "");
      await (await openStore({ fields: { connectionString } })).close();
      assert.equal(server.logins.at(-1)?.password, password);
    }
  });

  it("SS14: keyType uuid and integer are refused beside a key prefix", () => {
    const faults = (given: Readonly<Record<string, string>>): readonly string[] => {
      const pairs = Object.entries({ connectionString: connectionTo(1433), ...given });
      const decoded = decodeStore(
        driver,
        pairs.map(([name, value]) => ({ name, value, secret: false })),
      );
      return decoded.faults.map(({ severity, field, want }) => `${severity} ${field}: ${want}`);
    };
    for (const keyType of ["uuid", "integer"]) {
      assert.deepEqual(faults({ keyType }), ["error keyType: keyPrefix: none beside it"]);
      assert.deepEqual(faults({ keyType, keyPrefix: "none" }), []);
    }
  });
});
