// Pannier's own routes over real HTTP: list, count and delete by prefix on each store, bulk writes with an answer per item.
import assert from "node:assert/strict";
import { freePort } from "#test/servers/free-port.ts";
import { describeWithRedis, type RedisServer, redisMissing, startRedis } from "#test/servers/redis.ts";
import { errorOf, save, ask as send } from "./client.ts";
import { type Answer, component, startWire, type WireSidecar } from "./sidecar.ts";

const OWN = "/pannier/v1/state";
const JSON_TYPE = { "content-type": "application/json" };

interface ListBody {
  readonly items: readonly { readonly key: string; readonly data?: unknown; readonly etag?: string }[];
  readonly token?: string;
}

function bodyOf<T>(answer: Answer): T {
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers["content-type"], "application/json");
  return JSON.parse(answer.text);
}

describe("Pannier's own routes over HTTP", () => {
  let wire: WireSidecar;
  let redis: RedisServer | null = null;

  before(async () => {
    if (redisMissing() === null) redis = await startRedis();
    wire = await startWire({
      manifests: {
        "a.yaml": component("memory", "state.in-memory"),
        "b.yaml": component("bare", "state.in-memory", { keyPrefix: "none" }),
        "c.yaml": component("allowed", "state.in-memory", { keyPrefix: "none", allowUnscopedDelete: "true" }),
        "d.yaml": component("sqlite", "state.sqlite", { connectionString: ":memory:" }),
        ...(redis === null
          ? {}
          : { "e.yaml": component("redis", "state.redis", { redisHost: `127.0.0.1:${redis.port}` }) }),
      },
      settings: { bodyBytesMax: 1024 * 1024 },
    });
  });
  after(async () => {
    await wire.stop();
    await redis?.stop();
  });

  const get = (path: string): Promise<Answer> => send(wire, "GET", `${OWN}/${path}`);
  const post = (path: string, body: unknown, headers: Record<string, string> = JSON_TYPE): Promise<Answer> =>
    send(wire, "POST", `${OWN}/${path}`, body, headers);
  const list = async (store: string, query = ""): Promise<ListBody> => bodyOf(await get(`${store}/keys?${query}`));
  const fill = (store: string, keys: readonly string[]): Promise<unknown> =>
    Promise.all(keys.map((key) => save(wire, key, JSON.stringify(key), `/v1.0/state/${store}`)));
  const clear = (store: string): Promise<Answer> => post(`${store}/delete-by-prefix`, { all: true });

  for (const store of ["memory", "sqlite", "redis"]) {
    const describeOn = store === "redis" ? describeWithRedis : describe;
    describeOn(`on ${store}`, () => {
      afterEach(async () => void (await clear(store)));

      it("lists all keys in pages by tokens", async () => {
        const keys = Array.from({ length: 25 }, (_, index) => `order-${index + 10}`);
        await fill(store, [...keys, "other"]);
        const seen = new Set<string>();
        let token = "";
        let pages = 0;
        do {
          const page = await list(store, `prefix=order-&limit=10&token=${token}`);
          assert.ok(page.items.length <= 10);
          for (const { key } of page.items) seen.add(key);
          token = page.token ?? "";
          pages++;
        } while (token !== "");
        assert.deepEqual([...seen].sort(), keys);
        assert.ok(pages >= 3);
      });

      it("gives values with ETag and expiry", async () => {
        const body = [{ key: "a", value: { b: [1.1] }, metadata: { ttlInSeconds: "100" } }];
        assert.equal((await send(wire, "POST", `/v1.0/state/${store}`, body)).status, 204);
        const { text } = await get(`${store}/keys?values=true`);
        assert.match(
          text,
          /^\{"items":\[\{"key":"a","data":\{"b":\[1\.1\]\},"etag":"[^"]+","metadata":\{"ttlExpireTime":"[^"]+Z"\}\}\]\}$/,
        );
        assert.equal((await get(`${store}/keys`)).text, '{"items":[{"key":"a"}]}');
      });

      it("counts, deletes by prefix, and says what is left", async () => {
        await fill(store, ["a1", "a2", "a3", "b1"]);
        assert.deepEqual(bodyOf(await get(`${store}/count?prefix=a`)), { count: 3 });
        assert.deepEqual(bodyOf(await get(`${store}/count`)), { count: 4 });
        const first = bodyOf(await post(`${store}/delete-by-prefix`, { prefix: "a", limit: 2 }));
        assert.deepEqual(first, { deleted: 2, more: true });
        assert.deepEqual(bodyOf(await post(`${store}/delete-by-prefix`, { prefix: "a" })), { deleted: 1, more: false });
        assert.deepEqual(bodyOf(await get(`${store}/count`)), { count: 1 });
      });

      it("says in the store's description that it can list", async () => {
        const { features, traits } = bodyOf<{ features: { list: boolean }; traits: { listOrder: string } }>(
          await get(store),
        );
        assert.deepEqual([features.list, traits.listOrder], [true, store === "redis" ? "none" : "key"]);
      });

      it("saves and deletes item by item", async () => {
        await fill(store, ["there", "gone"]);
        const saved = await post(`${store}/bulk-save`, [
          { key: "new", value: 1 },
          { key: "there", value: 2, options: { concurrency: "first-write" } },
          { key: "x||y", value: 3 },
        ]);
        const results =
          bodyOf<{ key: string; status: number; error?: { errorCode: string; message: string } }[]>(saved);
        assert.deepEqual(
          results.map(({ key, status, error }) => [key, status, error?.errorCode]),
          [
            ["new", 204, undefined],
            ["there", 409, "ERR_STATE_SAVE"],
            ["x||y", 400, "ERR_MALFORMED_REQUEST"],
          ],
        );
        assert.match(
          results[1]?.error?.message ?? "",
          new RegExp(`^failed saving state in state store ${store}: possible etag mismatch`),
        );
        const deleted = await post(`${store}/bulk-delete`, [
          { key: "gone" },
          { key: "there", etag: "987" },
          { key: "never" },
        ]);
        assert.deepEqual(
          bodyOf<{ key: string; status: number }[]>(deleted).map(({ key, status }) => [key, status]),
          [
            ["gone", 204],
            ["there", 409],
            ["never", 204],
          ],
        );
        assert.deepEqual((await list(store)).items.map(({ key }) => key).sort(), ["new", "there"]);
      });
    });
  }

  describe("what a request asks for", () => {
    afterEach(async () => void (await clear("memory")));

    it("is taken as UTF-8 out of percent escapes", async () => {
      await fill("memory", ["a b", "a+b", "ü", "50%", "[x]*"]);
      for (const [query, key] of [
        ["a+b", "a b"],
        ["a%2Bb", "a+b"],
        ["%C3%BC", "ü"],
        ["50%25", "50%"],
        ["[x]*", "[x]*"],
      ]) {
        assert.deepEqual((await list("memory", `prefix=${query}`)).items, [{ key }]);
      }
    });

    it("is refused with the parameter's name when it is none", async () => {
      const refused: readonly (readonly [string, RegExp])[] = [
        ["memory/keys?limit=0", /limit: got 0, want a whole number from 1 to 1000/],
        ["memory/keys?limit=1001", /limit: /],
        ["memory/keys?limit=ten", /limit: got "ten"/],
        ["memory/keys?limit=-1", /limit: /],
        ["memory/keys?values=yes", /values: got "yes", want true or false/],
        ["memory/keys?token=abc", /token: /],
        ["memory/keys?prefix=%ff", /prefix: /],
        ["memory/keys?limit=1&prefix=a;b", /prefix: .*%3B/],
        ["memory/count?prefix=%zz", /prefix: /],
        ["memory/keys?prefix=a||b", /'a\|\|b' can't contain '\|\|'/],
        ["memory/count?prefix=||", /can't contain/],
      ];
      for (const [path, message] of refused) {
        const answer = await get(path);
        assert.equal(answer.status, 400, path);
        assert.match(errorOf(answer).message, message);
      }
      assert.equal((await get("nostore/keys")).status, 400);
      assert.equal(errorOf(await get("nostore/count")).errorCode, "ERR_STATE_STORE_NOT_FOUND");
    });

    it("is refused when a token was made for another store or prefix, or is altered", async () => {
      await fill("memory", ["a1", "a2", "b1", "b2"]);
      await fill("sqlite", ["a1", "a2"]);
      const { token = "" } = await list("memory", "prefix=a&limit=1");
      assert.deepEqual((await list("memory", `prefix=a&token=${token}`)).items, [{ key: "a2" }]);
      for (const path of [
        `memory/keys?token=${token}`,
        `memory/keys?prefix=b&token=${token}`,
        `sqlite/keys?prefix=a&token=${token}`,
        `memory/keys?prefix=a&token=${token.slice(0, -1)}`,
      ]) {
        const answer = await get(path);
        assert.equal(answer.status, 400, path);
        assert.equal(errorOf(answer).errorCode, "ERR_STATE_LIST");
        assert.match(errorOf(answer).message, /^token: /);
      }
      await clear("sqlite");
    });

    it("never ends in a page of values with more bytes than 16 bodies", async () => {
      const value = JSON.stringify("x".repeat(900_000));
      for (let i = 0; i < 30; i++) await save(wire, `large-${i}`, value, "/v1.0/state/memory");
      let rows = 0;
      let token = "";
      do {
        const answer = await get(`memory/keys?values=true&limit=1000&token=${token}`);
        assert.ok(answer.bytes.length <= 16 * 1024 * 1024, `${answer.bytes.length} bytes`);
        const page = bodyOf<ListBody>(answer);
        rows += page.items.length;
        token = page.token ?? "";
      } while (token !== "");
      assert.equal(rows, 30);
    });

    it("shows values that are not JSON as a bulk get does", async () => {
      const [entry] = [...wire.sidecar.stores.all()];
      assert.ok(entry !== undefined);
      const plain = { isJson: false, etag: null, firstWrite: false, strong: false, ttlSec: null, metadata: {} };
      const call = { signal: new AbortController().signal };
      await entry.store.set({ ...plain, key: "wire||bytes", bytes: Buffer.from([0xff, 0]) }, call);
      await entry.store.set({ ...plain, key: "wire||text", bytes: Buffer.from("plain <text>") }, call);
      const { text } = await get("memory/keys?values=true");
      assert.match(text, /\{"key":"bytes","data":"\/wA=","etag":"[^"]+","metadata":\{"pannier.encoding":"base64"\}\}/);
      assert.match(text, /\{"key":"text","data":"plain \\u003ctext\\u003e"/);
    });
  });

  describe("deleting by prefix", () => {
    it("is refused without a prefix, and nothing is deleted", async () => {
      await fill("memory", ["a"]);
      for (const body of [{}, { prefix: "" }, { all: false }, { prefix: "a", all: true }]) {
        const answer = await post("memory/delete-by-prefix", body);
        assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_STATE_DELETE_BY_PREFIX"], answer.text);
      }
      assert.deepEqual(bodyOf(await clear("memory")), { deleted: 1, more: false });
    });

    it("is refused on bare keys unless the Component says allowUnscopedDelete", async () => {
      for (const store of ["bare", "allowed"]) await fill(store, ["a"]);
      const answer = await post("bare/delete-by-prefix", { prefix: "a" });
      assert.equal(answer.status, 400);
      assert.match(errorOf(answer).message, /allowUnscopedDelete/);
      assert.deepEqual(bodyOf(await get("bare/count")), { count: 1 });
      assert.deepEqual(bodyOf(await post("allowed/delete-by-prefix", { prefix: "a" })), { deleted: 1, more: false });
    });

    it("takes no body in which anything is misspelled or of another kind", async () => {
      await fill("memory", ["a"]);
      for (const body of [
        '{"prefix":"a","limt":1}',
        '{"Prefix":"a"}',
        '{"prefix":1}',
        '{"prefix":"a","limit":"1"}',
        '{"all":"true"}',
        "[]",
        "null",
        "",
        '{"prefix":"a"',
        '{"prefix":"a"} x',
        '{"prefix":"\\ud800"}',
        '{"prefix":"a","limit":0}',
        '{"prefix":"a","limit":1e9}',
      ]) {
        const answer = await post("memory/delete-by-prefix", body);
        assert.equal(answer.status, 400, body);
        assert.ok(!errorOf(answer).message.includes("undefined"), answer.text);
      }
      assert.deepEqual(bodyOf(await clear("memory")), { deleted: 1, more: false });
    });
  });

  describe("the writing routes", () => {
    const writing = ["delete-by-prefix", "bulk-delete", "bulk-save"];

    it("take application/json and no other type, as a page of another origin would send", async () => {
      await fill("memory", ["a"]);
      const types = [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonx",
        "text/plain; application/json",
        "",
      ];
      for (const path of writing) {
        for (const type of types) {
          const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
          const answer = await post(
            `memory/${path}`,
            path === "delete-by-prefix" ? { all: true } : [{ key: "a" }],
            headers,
          );
          assert.deepEqual([answer.status, errorOf(answer).errorCode], [415, "ERR_CONTENT_TYPE"], `${path}: ${type}`);
          assert.match(errorOf(answer).message, /want "application\/json"/);
        }
      }
      assert.deepEqual(bodyOf(await get("memory/count")), { count: 1 });
      const spelled = { "content-type": "Application/JSON ; charset=utf-8" };
      assert.equal((await post("memory/delete-by-prefix", { all: true }, spelled)).status, 200);
    });

    for (const path of ["memory/bulk-save", "memory/bulk-delete"]) {
      it(`take If-Match for one item without an ETag of its own, as a save does: ${path}`, async () => {
        await fill("memory", ["a", "b"]);
        const { items } = await list("memory", "prefix=a&values=true");
        const current = items[0]?.etag ?? "";
        const write = async (etag: object, header: string): Promise<number | undefined> => {
          const answer = await post(path, [{ key: "a", value: 2, ...etag }], { ...JSON_TYPE, "If-Match": header });
          return bodyOf<{ status: number }[]>(answer)[0]?.status;
        };
        assert.equal(await write({}, "123456789"), 409);
        assert.equal(await write({ etag: "123456789" }, `"${current}"`), 409);
        const several = [{ key: "a" }, { key: "b" }];
        const refused = await post(path, several, { ...JSON_TYPE, "If-Match": current });
        assert.deepEqual([refused.status, errorOf(refused).errorCode], [400, "ERR_MALFORMED_REQUEST"]);
        assert.match(errorOf(refused).message, /If-Match: got it with 2 items/);
        assert.deepEqual(bodyOf(await get("memory/count")), { count: 2 });
        assert.equal(await write({}, `"${current}"`), 204);
        await clear("memory");
      });
    }

    it("are there by POST only, and the reading ones by GET only", async () => {
      for (const path of writing) {
        for (const method of ["GET", "PUT", "DELETE"]) {
          assert.equal((await send(wire, method, `${OWN}/memory/${path}`, undefined, JSON_TYPE)).status, 404);
        }
      }
      for (const path of ["keys", "count"]) assert.equal((await post(`memory/${path}`, {})).status, 404);
    });

    it("read items as a save does: options and metadata of headers and URL, 400 for a body that is none", async () => {
      await fill("memory", ["a"]);
      const first = await post("memory/bulk-save", [{ key: "a" }], { ...JSON_TYPE, concurrency: "first-write" });
      assert.equal(bodyOf<{ status: number }[]>(first)[0]?.status, 409);
      await post("memory/bulk-save?metadata.ttlInSeconds=100", [{ key: "t", value: 1 }]);
      const { headers } = await send(wire, "GET", "/v1.0/state/memory/t");
      assert.ok(headers["metadata.ttlexpiretime"] !== undefined);
      for (const body of ["{}", '[{"value":1}]', "[1]", "x", "", '[{"key":"a","etag":1}]']) {
        for (const path of ["bulk-save", "bulk-delete"]) {
          const answer = await post(`memory/${path}`, body);
          assert.deepEqual([answer.status, errorOf(answer).errorCode], [400, "ERR_MALFORMED_REQUEST"], body);
        }
      }
      assert.deepEqual(bodyOf(await post("memory/bulk-save", "[]")), []);
      const large = await post("memory/bulk-save", [{ key: "a", value: "x".repeat(1024 * 1024) }]);
      assert.match(errorOf(large).message, /--max-body-size/);
      await clear("memory");
    });
  });

  it("are not on the public port", async () => {
    const publicPort = await freePort();
    const settings = { publicPort };
    const manifests = { "a.yaml": component("memory", "state.in-memory") };
    const other = await startWire({ manifests, settings });
    try {
      for (const path of ["keys", "count"]) {
        assert.equal((await other.ask("GET", `${OWN}/memory/${path}`, { port: publicPort })).status, 404);
      }
    } finally {
      await other.stop();
    }
  });

  it("count in the metrics under names of their own", async () => {
    await list("memory");
    await get("memory/count");
    await clear("memory");
    await post("memory/bulk-delete", [{ key: "a" }]);
    const { metricsPort } = wire.sidecar;
    assert.ok(metricsPort !== null);
    const { text } = await wire.ask("GET", "/metrics", { port: metricsPort });
    for (const operation of ["list", "count", "delete_by_prefix", "bulk_delete"]) {
      assert.match(text, new RegExp(`dapr_component_state_count\\{[^}]*operation="${operation}"`), operation);
    }
    assert.match(text, /path="\/pannier\/v1\/state\/\{storeName\}\/keys"/);
  });
});
