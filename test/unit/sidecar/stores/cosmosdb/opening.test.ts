// Opening a container: what it must be like, and what its default time to live means for every value.
import assert from "node:assert/strict";
import { call, onOneEndpoint, openStore, type Reply, read, write } from "./fixture.ts";

function container(more: object): Reply {
  return { status: 200, body: { id: "c", partitionKey: { paths: ["/partitionKey"], kind: "Hash" }, ...more } };
}

describe("a container of Cosmos DB that is opened", () => {
  const { endpoint, open, distrusting } = onOneEndpoint();

  for (const paths of [["/id"], ["/partitionKey", "/id"], [], "partitionKey"])
    it(`is refused with the partition key ${JSON.stringify(paths)}`, async () => {
      await assert.rejects(open({}, { container: container({ partitionKey: { paths } }) }), {
        code: "refused",
        message: /^the container d\/c has the partition key .*, want \["\/partitionKey"\]/,
      });
    });

  it("is refused when it is not there, or when something else answers", async () => {
    await assert.rejects(open({}, { container: { status: 404 } }), {
      code: "unavailable",
      message: /no such database or container/,
    });
    await assert.rejects(open({}, { container: { status: 200, body: "hello" } }), { code: "failed" });
  });

  it("without a default time to live refuses a TTL, warns of it, and reports no expiry", async () => {
    const lines: string[] = [];
    const store = await open({}, { container: container({}), lines });
    assert.equal(store.features.ttl, false);
    assert.equal(store.defaultTtlSec, null);
    assert.ok(!store.capabilities.includes("TTL"));
    assert.match(lines.join(""), /level=warning .*no default time to live.*a TTL is refused.*container=d\/c/);
    const document = { id: "k", value: 1, isBinary: false, partitionKey: "k", ttl: 5, _ts: 1_700_000_000 };
    endpoint().reply = () => ({ status: 200, body: document });
    assert.equal((await store.get("k", read, call))?.expiresAtMs, null);
  });

  it("with a default of -1 lets expire what says so, and says nothing at its start", async () => {
    const lines: string[] = [];
    const store = await open({}, { container: container({ defaultTtl: -1 }), lines });
    assert.deepEqual([store.features.ttl, store.defaultTtlSec, lines], [true, null, []]);
  });

  it("with a default of its own lets everything expire, unless a write says never", async () => {
    const store = await open({}, { container: container({ defaultTtl: 3600 }) });
    assert.equal(store.defaultTtlSec, 3600);
    const document = { id: "k", value: 1, isBinary: false, partitionKey: "k", _ts: 1_700_000_000 };
    const expiresAtMs = async (more: object): Promise<unknown> => {
      endpoint().reply = () => ({ status: 200, body: { ...document, ...more } });
      return (await store.get("k", read, call))?.expiresAtMs;
    };
    assert.equal(await expiresAtMs({}), 1_700_003_600_000);
    assert.equal(await expiresAtMs({ ttl: 5 }), 1_700_000_005_000);
    assert.equal(await expiresAtMs({ ttl: -1 }), null);
    endpoint().taken();
    endpoint().reply = () => ({ status: 201 });
    await store.set(write("k", "1"), call);
    assert.equal(JSON.parse(endpoint().taken()[0]?.body ?? "").ttl, -1);
  });

  it("is not asked where the certificate of the server is not trusted", async () => {
    await distrusting(() =>
      assert.rejects(openStore(endpoint().fields), {
        code: "unavailable",
        message:
          /^cannot connect to Cosmos DB at localhost:\d+: the server's certificate is of an unknown authority; this machine does not trust the server's certificate/,
      }),
    );
    assert.equal(endpoint().taken().length, 0);
    await open();
  });
});
