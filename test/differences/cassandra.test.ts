// The rows of docs/differences.md that show on Cassandra, over HTTP against a real node that wants a user.
import assert from "node:assert/strict";
import type { Client } from "cassandra-driver";
import { type CassandraCluster, describeWithOwnCassandra, startOwnCassandra } from "#test/servers/cassandra.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { ask, save } from "#test/wire/client.ts";
import { type Answer, component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";

const credentials = { username: "cassandra", password: "cassandra" };
const READY_MS = 30_000;

describeWithOwnCassandra("differences on Cassandra", function (this: Mocha.Suite) {
  this.timeout(300_000);
  let cluster: CassandraCluster;
  let proxy: TcpProxy;
  let root: Client;
  let wire: WireSidecar;

  before(async () => {
    const yaml = "authenticator: PasswordAuthenticator\nauthorizer: CassandraAuthorizer\n";
    cluster = await startOwnCassandra({ yaml, credentials });
    proxy = await TcpProxy.start({ host: "127.0.0.1", port: cluster.port });
    root = await rootClient();
    for (const statement of [
      "CREATE KEYSPACE dapr WITH REPLICATION = {'class': 'SimpleStrategy', 'replication_factor': 1}",
      "CREATE TABLE dapr.items (key text PRIMARY KEY, value blob)",
      "CREATE ROLE app WITH PASSWORD = 's3cr3t' AND LOGIN = true",
      "GRANT SELECT ON dapr.items TO app",
      "GRANT MODIFY ON dapr.items TO app",
    ])
      await root.execute(statement, [], { prepare: false });
    const hosts = { hosts: `127.0.0.1:${proxy.port}` };
    wire = await startWire({
      manifests: {
        "a.yaml": component("plain", "state.cassandra", { ...hosts, username: "app", password: "s3cr3t" }),
        "b.yaml": component("etags", "state.cassandra", { ...hosts, ...credentials, table: "e", etags: "true" }),
        "c.yaml": component("two", "state.cassandra", { ...hosts, ...credentials, consistency: "Two" }),
      },
    });
  });
  after(async () => {
    await wire.stop();
    await root.shutdown();
    await proxy.stop();
    await cluster.stop();
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

  const to = (store: string): string => `/v1.0/state/${store}`;
  const put = async (store: string, item: object): Promise<number> =>
    (await ask(wire, "POST", to(store), [item])).status;
  const get = (store: string, key: string, query = ""): Promise<Answer> =>
    ask(wire, "GET", `${to(store)}/${key}${query}`);

  it("CA1: an ETag and first-write are refused, or they count", async () => {
    await save(wire, "ca1", "1", to("plain"));
    await save(wire, "ca1", "1", to("etags"));
    const first = { key: "ca1", value: 2, options: { concurrency: "first-write" } };
    assert.deepEqual([await put("plain", { key: "ca1", value: 2, etag: "1" }), await put("plain", first)], [400, 400]);
    assert.equal((await get("plain", "ca1")).headers.etag, undefined);
    const { etag } = (await get("etags", "ca1")).headers;
    assert.deepEqual([await put("etags", { key: "ca1", value: 2, etag: "1" }), await put("etags", first)], [409, 409]);
    assert.equal(await put("etags", { key: "ca1", value: 2, etag }), 204);
  });

  it("CA2: a request with a consistency opens no session of its own", async () => {
    const before = proxy.accepted;
    for (const consistency of ["strong", "eventual"]) {
      assert.equal(await put("plain", { key: "ca2", value: 1, options: { consistency } }), 204);
      assert.equal((await get("plain", "ca2", `?consistency=${consistency}`)).text, "1");
    }
    assert.equal(proxy.accepted, before);
  });

  it("CA3: an eventual request keeps to the consistency of the Component", async () => {
    const eventual = { key: "ca3", value: 1, options: { consistency: "eventual" } };
    assert.deepEqual([await put("plain", eventual), await put("two", eventual)], [204, 500]);
    assert.equal((await get("two", "ca3", "?consistency=eventual")).status, 500);
  });

  it("CA4: a value does not go before its time", async () => {
    // The server's seconds begin where they like: several writes, of which some would go early by themselves.
    const lives = Array.from({ length: 5 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, index * 190));
      const key = `ca4-${index}`;
      const fromMs = Date.now();
      await put("plain", { key, value: 1, metadata: { ttlInSeconds: "1" } });
      while ((await get("plain", key)).status === 200) await new Promise((resolve) => setTimeout(resolve, 10));
      return Date.now() - fromMs;
    });
    for (const livedMs of await Promise.all(lives)) assert.ok(livedMs >= 1000, `${livedMs} ms`);
  });

  it("CA5: a user who may make no table can use one that is there", async () => {
    await save(wire, "ca5", "5", to("plain"));
    assert.equal((await get("plain", "ca5")).text, "5");
  });

  it("CA6: a TTL or a key that Cassandra cannot keep is refused", async () => {
    assert.equal(await put("plain", { key: "ca6", value: 1, metadata: { ttlInSeconds: "2147483647" } }), 400);
    assert.equal(await put("plain", { key: "ca6", value: 1, metadata: { ttlInSeconds: "630000000" } }), 400);
    assert.equal(await put("plain", { key: "k".repeat(65_536), value: 1 }), 400);
    assert.equal((await get("plain", "ca6")).status, 204);
  });
});
