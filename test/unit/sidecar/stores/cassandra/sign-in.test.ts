// Users, rights and TLS of a cluster that wants all three.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import type { Client } from "cassandra-driver";
import type { Store } from "#sidecar/stores/store.ts";
import { type CassandraCluster, describeWithOwnCassandra, startOwnCassandra } from "#test/servers/cassandra.ts";
import { type Certificates, makeCertificates } from "#test/servers/certificates.ts";
import { call, openStore, read, textOf, write } from "./fixture.ts";

const admin = { username: "cassandra", password: "cassandra" };
const app = { username: "app", password: "s3cr3t" };
const READY_MS = 30_000;

describeWithOwnCassandra("a cassandra that wants a user and a certificate", function (this: Mocha.Suite) {
  this.timeout(300_000);
  let certificates: Certificates;
  let cluster: CassandraCluster;
  let root: Client;

  before(async () => {
    certificates = await makeCertificates();
    const { serverCertificateFile, serverKeyFile, authority, authorityFile } = certificates;
    const yaml = `
authenticator: PasswordAuthenticator
authorizer: CassandraAuthorizer
permissions_validity: 0ms
roles_validity: 0ms
credentials_validity: 0ms
client_encryption_options:
  enabled: true
  optional: false
  require_client_auth: true
  ssl_context_factory:
    class_name: org.apache.cassandra.security.PEMBasedSslContextFactory
  keystore: ${serverKeyFile}.pem
  truststore: ${authorityFile}
`;
    const pem = (await readFile(serverKeyFile, "utf8")) + (await readFile(serverCertificateFile, "utf8"));
    await writeFile(`${serverKeyFile}.pem`, pem);
    const { clientCertificate: cert, clientKey: key } = certificates;
    cluster = await startOwnCassandra({ yaml, credentials: admin, tls: { ca: authority, cert, key } });
    root = await rootClient();
    for (const statement of [
      "CREATE KEYSPACE dapr WITH REPLICATION = {'class': 'SimpleStrategy', 'replication_factor': 1}",
      "CREATE TABLE dapr.items (key text PRIMARY KEY, value blob)",
      "CREATE TABLE dapr.secret (key text PRIMARY KEY, value blob)",
      `CREATE ROLE app WITH PASSWORD = '${app.password}' AND LOGIN = true`,
      "GRANT SELECT ON dapr.items TO app",
      "GRANT MODIFY ON dapr.items TO app",
    ])
      await root.execute(statement, [], { prepare: false });
  });
  after(async () => {
    await root.shutdown();
    await cluster.stop();
    await certificates.remove();
  });

  /** The first user is made a little after the start. */
  async function rootClient(): Promise<Client> {
    const end = Date.now() + READY_MS;
    for (;;) {
      const client = cluster.openClient();
      try {
        await client.connect();
        return client;
      } catch (error) {
        await client.shutdown();
        if (Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  function open(more: Readonly<Record<string, string>>): Promise<Store> {
    const { authority: ca, clientCertificate: cert, clientKey: key } = certificates;
    const tls = { enableHostVerification: "true", ca, cert, key };
    return openStore({ hosts: `127.0.0.1:${cluster.port}`, ...tls, ...app, ...more });
  }

  it("serves a user who may use the table and make none", async () => {
    const store = await open({});
    await store.set(write("k", "1"), call);
    assert.equal(await textOf(store, "k"), "1");
    await store.close();
  });

  it("says so when the password is wrong, and does not tell it", async () => {
    await assert.rejects(open({ password: "wr0ng" }), {
      code: "unavailable",
      message: `cassandra at 127.0.0.1:${cluster.port} refused the sign-in: check username and password`,
    });
    await assert.rejects(open({ username: "", password: "" }), { code: "unavailable", message: /refused the sign-in/ });
  });

  it("says so when the user may not use the table, or make it", async () => {
    const store = await open({ table: "secret" });
    const refused = { code: "unavailable", message: /does not let this user use the table$/ };
    await assert.rejects(store.get("k", read, call), refused);
    await assert.rejects(store.set(write("k", "1"), call), refused);
    await store.close();
    await assert.rejects(open({ table: "another" }), refused);
    await assert.rejects(open({ etags: "true" }), refused);
  });

  it("says so when the right is taken away, and serves again when it is given back", async () => {
    const store = await open({});
    await store.set(write("right", "1"), call);
    await root.execute("REVOKE MODIFY ON dapr.items FROM app", [], { prepare: false });
    await assert.rejects(store.set(write("right", "2"), call), { message: /does not let this user/ });
    assert.equal(await textOf(store, "right"), "1");
    await root.execute("GRANT MODIFY ON dapr.items TO app", [], { prepare: false });
    await store.set(write("right", "3"), call);
    await store.close();
  });

  it("uses ETags without the right to look at the server's settings", async () => {
    await root.execute("GRANT ALTER ON dapr.items TO app", [], { prepare: false });
    const store = await open({ etags: "true" });
    await store.set(write("etag", "1", { firstWrite: true }), call);
    await assert.rejects(store.set(write("etag", "2", { firstWrite: true }), call), { code: "etag-mismatch" });
    await store.close();
  });

  it("is not trusted by another authority", async () => {
    const others = await makeCertificates();
    await assert.rejects(open({ ca: others.authority }), {
      code: "unavailable",
      message: /cannot reach cassandra at .*/,
    });
    await others.remove();
  });

  it("is found by a name that its certificate has, whatever its address", async () => {
    const store = await open({ hosts: `localhost:${cluster.port}` });
    await store.ping(call);
    await store.close();
  });

  it("does not take a client without a certificate, or without TLS", async () => {
    await assert.rejects(open({ cert: "", key: "" }), { code: "unavailable" });
    const plain = { enableHostVerification: "false", ca: "", cert: "", key: "" };
    await assert.rejects(open(plain), { code: /^(unavailable|timeout)$/ });
  });
});
