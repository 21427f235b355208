// The rows of docs/differences.md that show on PostgreSQL, over HTTP against a real server.
import assert from "node:assert/strict";
import { hasErrors } from "#kit/fault.ts";
import { driver } from "#sidecar/stores/postgresql/postgresql.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { openStore } from "#test/unit/sidecar/stores/postgresql/fixture.ts";
import { ask, save } from "#test/wire/client.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

describeWithPostgres("differences on PostgreSQL", () => {
  let server: PostgresServer;
  let wire: WireSidecar;

  before(async () => {
    server = await startPostgres();
    const connectionString = server.url();
    const v1 = component("v1", "state.postgresql", { connectionString });
    const lossy = component("lossy", "state.postgres", { connectionString, tableName: "lossy", lossyValues: "true" });
    const v2 = component("v2", "state.postgresql", { connectionString, tablePrefix: "v2_" }).replace(
      /version: v1/,
      "version: v2",
    );
    wire = await startWire({ manifests: { "a.yaml": v1, "b.yaml": v2, "c.yaml": lossy } });
  });

  after(async () => {
    await wire.stop();
    await server.stop();
  });

  const to = (store: string): string => `/v1.0/state/${store}`;
  const put = async (store: string, item: string): Promise<number> =>
    (await ask(wire, "POST", to(store), `[${item}]`)).status;
  const text = async (store: string, key: string): Promise<string> =>
    (await ask(wire, "GET", `${to(store)}/${key}`)).text;
  const etagOf = async (store: string, key: string): Promise<string> =>
    String((await ask(wire, "GET", `${to(store)}/${key}`)).headers.etag);

  it("D1: what jsonb would change is refused in v1, and kept in v2", async () => {
    const expanding = `[${new Array(10_000).fill("1e400").join(",")}]`;
    const values = ['"a\\u0000"', '"\\ud800"', "-0", "1e999", expanding];
    for (const [index, value] of values.entries()) {
      const item = `{"key":"d1-${index}","value":${value}}`;
      assert.equal(await put("v1", item), 400, value);
      assert.equal(await put("v2", item), 204, value);
      assert.equal(await text("v2", `d1-${index}`), value);
      assert.equal(await put("lossy", item), index === 1 || index === 2 ? 204 : 400, value);
    }
    await save(wire, "d1", '{"b":12345678901234567890, "a":1.50}', to("v1"));
    assert.equal(await text("v1", "d1"), '{"a": 1.50, "b": 12345678901234567890}');
  });

  it("D2: first-write over an existing key is a conflict", async () => {
    for (const store of ["v1", "v2"]) {
      await save(wire, "d2", "1", to(store));
      assert.equal(await put(store, '{"key":"d2","value":2,"options":{"concurrency":"first-write"}}'), 409);
      assert.equal(await text(store, "d2"), "1");
    }
  });

  it("D3: the ETags of a transaction are those of the state before it", async () => {
    for (const store of ["v1", "v2"]) {
      await save(wire, "d3", "1", to(store));
      const request = { key: "d3", etag: await etagOf(store, "d3") };
      const operations = [2, 3].map((value) => ({ operation: "upsert", request: { ...request, value } }));
      assert.equal((await ask(wire, "POST", `${to(store)}/transaction`, { operations })).status, 204);
      assert.equal(await text(store, "d3"), "3");
    }
  });

  it("D4: an ETag of v2 in another spelling is a conflict", async () => {
    await save(wire, "d4", "1", to("v2"));
    const etag = await etagOf("v2", "d4");
    for (const other of [etag.toUpperCase(), `{${etag}}`, etag.replaceAll("-", "")]) {
      assert.equal((await ask(wire, "DELETE", `${to("v2")}/d4`, undefined, { "if-match": other })).status, 409);
    }
    assert.equal((await ask(wire, "DELETE", `${to("v2")}/d4`, undefined, { "if-match": etag })).status, 204);
  });

  const isRefused = (fields: Readonly<Record<string, string>>): boolean => {
    const properties = Object.entries(fields).map(([name, value]) => ({ name, value, secret: false }));
    return hasErrors(driver.decode(properties, []).faults);
  };

  it("D5: AWS IAM signs in in v1 too, and never beside Entra ID", () => {
    const aws = { connectionString: server.url(), useAWSIAM: "true" };
    assert.equal(isRefused(aws), true);
    assert.equal(isRefused({ ...aws, awsRegion: "eu-west-1" }), false);
    assert.equal(isRefused({ ...aws, awsRegion: "eu-west-1", useAzureAD: "true" }), true);
  });

  it("D6: the environment does not complete a connection string", () => {
    process.env.PGHOST = "127.0.0.1";
    process.env.PGUSER = "postgres";
    try {
      assert.equal(isRefused({ connectionString: "user=postgres" }), true);
      assert.equal(isRefused({ connectionString: "host=127.0.0.1" }), true);
    } finally {
      delete process.env.PGHOST;
      delete process.env.PGUSER;
    }
  });

  it("D7: a key of more bytes than the index takes is refused", async () => {
    const longest = "k".repeat(2692 - "wire||".length);
    for (const store of ["v1", "v2"]) {
      assert.equal(await put(store, `{"key":"${longest}","value":1}`), 204);
      assert.equal(await put(store, `{"key":"${longest}k","value":1}`), 400);
    }
  });

  it("D8: a database that cannot hold every character is refused", async () => {
    await server.query("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    const opening = openStore({ version: "v2", fields: { connectionString: server.url("latin") } });
    await assert.rejects(opening, { code: "unavailable", message: /encoding LATIN1/ });
  });

  it("D10: keys are neither listed nor queried by reading the whole table", async () => {
    await server.query("CREATE DATABASE words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
    await (await openStore({ version: "v1", fields: { connectionString: server.url("words") } })).close();
    const grant = "CREATE USER guest; GRANT SELECT, INSERT, UPDATE, DELETE ON state, dapr_metadata TO guest";
    await server.query(grant, [], "words");
    const store = component("words", "state.postgresql", { connectionString: server.url("words"), user: "guest" });
    const guest = await startWire({ manifests: { "a.yaml": store } });
    try {
      await save(guest, "d10", "1", to("words"));
      const answers = await Promise.all([
        ask(guest, "GET", "/pannier/v1/state/words/keys?limit=2"),
        ask(guest, "POST", "/v1.0-alpha1/state/words/query", { filter: {} }),
      ]);
      for (const { status, text: told } of answers) {
        assert.equal(status, 500);
        assert.match(told, /ERR_STATE_STORE_NOT_SUPPORTED|cannot walk over its keys/);
      }
    } finally {
      await guest.stop();
    }
  });

  it("D9: a token is sent over TLS only", async () => {
    const aws = { useAWSIAM: "true", awsRegion: "eu-west-1", awsAccessKey: "a", awsSecretKey: "b" };
    assert.equal(isRefused({ ...aws, connectionString: `${server.url()}?sslmode=disable` }), true);
    for (const mode of ["allow", "prefer"]) {
      // This server speaks no TLS.
      const opening = openStore({
        version: "v1",
        fields: { ...aws, connectionString: `${server.url()}?sslmode=${mode}` },
      });
      await assert.rejects(opening, { code: "unavailable", message: /it speaks no TLS/ });
    }
  });
});
