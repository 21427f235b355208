// Which slot a key has and who serves it, as nodes tell.
import assert from "node:assert/strict";
import { formatAddress } from "#sidecar/stores/redis/address.ts";
import { readSlotMap, type SlotMap, slotOf, spreadOf } from "#sidecar/stores/redis/slots.ts";
import { describeWithRedis } from "#test/servers/redis.ts";
import { startRedisCluster } from "#test/servers/redis-cluster.ts";

const ASKED = { host: "asked", port: 7000 };

describe("the hash slot of a key", () => {
  it("is the CRC16 of the key", () => assert.equal(slotOf("123456789"), 0x31c3));

  const equal: [key: string, other: string][] = [
    ["{user1000}.following", "user1000"],
    ["app||{order-1}-head", "app||{order-1}-lines"],
    ["{orders}||a", "{orders}||b"],
    ["app||type||{id}||a", "app||type||{id}||b"],
    ["foo{{bar}}zap", "{bar"],
    ["foo{bar}{zap}", "bar"],
    ["a}b{c}", "c"],
  ];
  for (const [key, other] of equal) {
    it(`is the same for ${key} and ${other}`, () => assert.equal(slotOf(key), slotOf(other)));
  }

  it("is that of the whole key when there is nothing in its first braces", () => {
    assert.notEqual(slotOf("foo{}{bar}"), slotOf("bar"));
    assert.notEqual(slotOf("foo{}{bar}"), slotOf("foo{}{baz}"));
    assert.notEqual(slotOf("{open"), slotOf("open"));
  });
});

describeWithRedis("the hash slot of a key, beside a server's", () => {
  it("is the same for all kinds of keys", async () => {
    const cluster = await startRedisCluster({ masters: 3 });
    const client = cluster.client(0);
    try {
      for (const key of ["", "a", "app||k", "{a}b", "a{}b", "ä{ö}ü", "😀", "{", "}{", "x".repeat(1000), "a\u0000b"])
        assert.equal(slotOf(key), await client.call("CLUSTER", "KEYSLOT", key), JSON.stringify(key));
    } finally {
      client.disconnect();
      await cluster.stop();
    }
  });
});

describe("the map of hash slots", () => {
  const node = (host: string | null, port: number): unknown[] => [
    host === null ? null : Buffer.from(host),
    port,
    Buffer.from("id"),
  ];

  it("has each master once with all its ranges, in the order of their slots", () => {
    const answer = [
      [10_000, 16_383, node("b", 1), node("replica", 9)],
      [0, 99, node("a", 1)],
      [100, 199, node("b", 1)],
      [200, 9_999, node("a", 1)],
    ];
    const { masters } = readSlotMap(answer, ASKED);
    assert.deepEqual(
      masters.map(({ address, ranges }) => [formatAddress(address), ranges.map(({ first, last }) => [first, last])]),
      [
        [
          "a:1",
          [
            [0, 99],
            [200, 9_999],
          ],
        ],
        [
          "b:1",
          [
            [100, 199],
            [10_000, 16_383],
          ],
        ],
      ],
    );
  });

  it("takes the asked node's host where none is told", () => {
    for (const host of [null, "", "?"]) {
      const [master] = readSlotMap([[0, 16_383, node(host, 7001)]], ASKED).masters;
      assert.deepEqual(master?.address, { host: "asked", port: 7001 });
    }
  });

  it("has another spread when a slot moves, and the same after a failover", () => {
    const spread = (...answer: unknown[]): string => readSlotMap(answer, ASKED).spread;
    const before = spread([0, 99, node("a", 1)], [100, 16_383, node("b", 1)]);
    assert.equal(spread([100, 16_383, node("c", 1)], [0, 99, node("a", 1)]), before);
    assert.notEqual(spread([0, 100, node("a", 1)], [101, 16_383, node("b", 1)]), before);
    assert.match(before, /^[\w-]{11}$/);
  });

  it("has a spread of its own while nodes do not agree", () => {
    const map = (last: number): SlotMap =>
      readSlotMap(
        [
          [0, last, node("a", 1)],
          [last + 1, 16_383, node("b", 1)],
        ],
        ASKED,
      );
    const [one, other] = [map(99), map(100)];
    assert.equal(spreadOf([one, one]), one.spread);
    assert.equal(spreadOf([one, other]), spreadOf([other, one, other]));
    for (const { spread } of [one, other]) assert.notEqual(spreadOf([one, other]), spread);
  });

  it("is refused when it is none", () => {
    for (const answer of [
      null,
      [],
      [[0]],
      [[-1, 5, node("a", 1)]],
      [[0, 16_384, node("a", 1)]],
      [[0, 5, node("a", 0)]],
    ])
      assert.throws(() => readSlotMap(answer, ASKED), { code: "unavailable", message: /asked:7000/ });
  });
});
