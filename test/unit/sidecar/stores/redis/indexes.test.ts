// The indexes of queryIndexes: what the field may say, and what is then there for whoever searches in Redis itself.
import assert from "node:assert/strict";
import type { Redis } from "ioredis";
import { driver } from "#sidecar/stores/redis/redis.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { describeWithRedisStack, redisStack } from "#test/servers/redis-stack.ts";
import { call, eventually, listeningLog, onServersOfItsOwn, plainClient, textOf, write } from "./fixture.ts";

const PEOPLE = [
  {
    name: "people",
    indexes: [
      { key: "state", type: "TEXT" },
      { key: "person.id", type: "NUMERIC" },
    ],
  },
];

const faultsOf = (queryIndexes: string): readonly (string | null)[] =>
  driver
    .decode(
      [
        { name: "redisHost", value: "redis", secret: false },
        { name: "queryIndexes", value: queryIndexes, secret: false },
      ],
      [],
    )
    .faults.map(({ severity, field, want }) => `${severity} ${field}: ${want}`);

describe("the field queryIndexes", () => {
  it("takes Dapr's form, with letters of any case in its names, and no index at all", () => {
    for (const text of [
      "",
      "[]",
      JSON.stringify(PEOPLE),
      '[{"Name":"a","INDEXES":[{"Key":"k","Type":"TEXT"}]}]',
      '[{"name":"a"}]',
    ])
      assert.deepEqual(faultsOf(text), [], text);
  });

  const WRONG: Readonly<Record<string, RegExp>> = {
    "{": /JSON array/,
    "{}": /JSON array/,
    "[1]": /"name"/,
    '[{"name":""}]': /"name"/,
    '[{"name":"a"},{"name":"a"}]': /a comes twice/,
    '[{"name":"a","indexes":[{"key":"","type":"TEXT"}]}]': /indexes" of a/,
    '[{"name":"a","indexes":[{"key":"k"}]}]': /indexes" of a/,
    '[{"name":"a","indexes":7}]': /indexes" of a/,
  };
  for (const [text, want] of Object.entries(WRONG)) {
    it(`refuses ${text}`, () => {
      const [fault, ...more] = faultsOf(text);
      assert.match(fault ?? "", /^error queryIndexes/);
      assert.match(fault ?? "", want);
      assert.deepEqual(more, []);
    });
  }
});

describeWithRedisStack("the indexes of queryIndexes", () => {
  const { start, open, keep } = onServersOfItsOwn();

  async function opened(): Promise<{ plain: Redis; again: (indexes: unknown) => Promise<readonly string[]> }> {
    const server = await start(redisStack());
    const plain = plainClient(server.port);
    keep(plain, async () => plain.disconnect());
    const again = async (indexes: unknown): Promise<readonly string[]> => {
      const log = listeningLog();
      const store = await open(server.port, { queryIndexes: JSON.stringify(indexes) }, log);
      await store.set(
        write("app||1", '{"state":"CA","person":{"id":7}}', { metadata: { contentType: "application/json" } }),
        call,
      );
      return log.warnings;
    };
    return { plain, again };
  }

  const search = async (plain: Redis, filter: string): Promise<unknown> =>
    plain.call("FT.SEARCH", "people", filter, "RETURN", "2", "$.data", "$.version");

  it("are there as Dapr makes them, and find what was written", async () => {
    const { plain, again } = await opened();
    assert.deepEqual(await again(PEOPLE), []);
    // A name by its letters, a number by its value: tokens and doubles, which is why Pannier's queries do not ask here.
    const row = /"app\|\|1",.*"\$\.data","{\\"state\\":\\"CA\\",\\"person\\":{\\"id\\":7}}","\$\.version","1"/;
    await eventually(async () => assert.match(JSON.stringify(await search(plain, "@var1:[7 7] @var0:(ca)")), row));
  });

  it("stay when they are the same, and are replaced when they are not", async () => {
    const { plain, again } = await opened();
    await again(PEOPLE);
    await plain.call("FT.ALIASADD", "still", "people");
    assert.deepEqual(await again(PEOPLE), []);
    await plain.call("FT.INFO", "still");
    assert.deepEqual(await again([{ name: "people", indexes: [{ key: "state", type: "text" }] }]), []);
    await assert.rejects(async () => plain.call("FT.INFO", "still"));
    await plain.call("FT.ALIASADD", "still", "people");
    assert.deepEqual(await again([{ name: "people", indexes: [{ key: "city", type: "TEXT" }] }]), []);
    await assert.rejects(async () => plain.call("FT.INFO", "still"));
    assert.deepEqual(await again([{ name: "people", indexes: [{ key: "state", type: "TEXT" }] }]), []);
    const told = JSON.stringify(await plain.call("FT.INFO", "people"));
    assert.match(told, /\$\.data\.state.*var0.*TEXT.*SORTABLE/);
    assert.doesNotMatch(told, /var1/);
  });

  it("that the server refuses are logged, and the store opens", async () => {
    const { again } = await opened();
    const [warning, ...more] = await again([{ name: "odd", indexes: [{ key: "k", type: "ODD" }] }]);
    assert.match(warning ?? "", /index of queryIndexes.*"index":"odd"/);
    assert.deepEqual(more, []);
  });
});

describeWithRedis("the indexes of queryIndexes without the module", () => {
  const { start, open } = onServersOfItsOwn();

  it("are logged as not made, and the store opens", async () => {
    const log = listeningLog();
    const store = await open((await start()).port, { queryIndexes: JSON.stringify(PEOPLE) }, log);
    assert.match(log.warnings.join(), /index of queryIndexes.*unknown command/);
    await store.set(write("k", "1", { metadata: { contentType: "application/json" } }), call);
    assert.equal(await textOf(store, "k"), "1");
    assert.deepEqual(store.capabilities, ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"]);
  });
});
