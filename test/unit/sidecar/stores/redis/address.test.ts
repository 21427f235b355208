// The forms of redisHost.
import assert from "node:assert/strict";
import { formatAddress, mayBeShown, parseAddress, parseAddresses, toldAddress } from "#sidecar/stores/redis/address.ts";

describe("the address of a Redis server", () => {
  const forms: [text: string, redisPort: number | null, shown: string][] = [
    ["redis", null, "redis:6379"],
    ["redis", 7000, "redis:7000"],
    ["redis.ns.svc:6380", null, "redis.ns.svc:6380"],
    [" redis:6380 ", 6380, "redis:6380"],
    ["10.0.0.7:1", null, "10.0.0.7:1"],
    ["", null, "localhost:6379"],
    [":6380", null, "localhost:6380"],
    ["::1", null, "[::1]:6379"],
    ["[::1]", 6380, "[::1]:6380"],
    ["[fe80::1%eth0]:6381", null, "[fe80::1%eth0]:6381"],
  ];
  for (const [text, redisPort, shown] of forms) {
    it(`reads ${JSON.stringify(text)} with redisPort ${redisPort} as ${shown}`, () => {
      const address = parseAddress(text, redisPort);
      assert.ok(!("want" in address), "want" in address ? address.want : "");
      assert.equal(formatAddress(address), shown);
    });
  }

  const faults: [text: string, redisPort: number | null, want: RegExp][] = [
    ["redis:6380", 6379, /the one of redisPort$/],
    ["a:1,b:2", null, /one host: a list goes with redisType "cluster"/],
    ["redis:0", null, /a port from 1/],
    ["redis:65536", null, /a port from 1/],
    ["redis:http", null, /a port from 1/],
    ["redis:", null, /a port from 1/],
    ["redis://redis:6379", null, /a host as in/],
    ["user@redis", null, /a host as in/],
    ["[redis", null, /a host as in/],
    ["redis:6379:s3cret", null, /a host as in/],
    ["redis;password=s3cret", null, /a host as in/],
    ["redis://:s3cret@redis:6379,redis:6380", null, /a host as in/],
  ];
  for (const [text, redisPort, want] of faults) {
    it(`refuses ${JSON.stringify(text)} with redisPort ${redisPort}`, () => {
      const address = parseAddress(text, redisPort);
      assert.ok("want" in address);
      assert.match(address.want, want);
    });
  }

  it("reads a list, each with the port of its own or redisPort", () => {
    const addresses = parseAddresses("a:1, b ,[::1]:3", null);
    assert.ok(!("want" in addresses));
    assert.deepEqual(addresses.map(formatAddress), ["a:1", "b:6379", "[::1]:3"]);
    const ported = parseAddresses("a,b", 7000);
    assert.ok(!("want" in ported));
    assert.deepEqual(ported.map(formatAddress), ["a:7000", "b:7000"]);
  });

  it("refuses a list with one wrong address, and a very long one", () => {
    for (const text of ["a:1,b:0", "a,redis://b", new Array(101).fill("a").join(",")])
      assert.ok("want" in parseAddresses(text, null), text);
  });

  it("takes what a node tells of another, with its own host for one that is not told", () => {
    const asked = { host: "node.example", port: 1 };
    const shown = (text: string): string | null => {
      const address = toldAddress(text, asked);
      return address === null ? null : formatAddress(address);
    };
    assert.equal(shown("10.0.0.7:6380"), "10.0.0.7:6380");
    assert.equal(shown("::1:6380"), "[::1]:6380");
    assert.equal(shown(":6380"), "node.example:6380");
    assert.equal(shown("?:6380"), "node.example:6380");
    for (const text of ["", "host", "host:0", "host:65536", "host:x"]) assert.equal(shown(text), null, text);
  });

  const shown = ["redis", "redis:6380", " a:1, b:2", "[::1]:6380", "fe80::1%eth0", "redis:70000", ""];
  for (const text of shown) {
    it(`may be shown when it is wrong as ${JSON.stringify(text)} is`, () => assert.equal(mayBeShown(text), true));
  }

  const hidden = [
    "redis://:s3cret@redis:6379",
    "rediss://redis",
    "user:s3cret@redis",
    "redis:6379,password=s3cret,ssl=True",
    "redis:s3cret",
    "redis:6379:s3cret",
    "redis s3cret",
    "[s3cret]",
  ];
  for (const text of hidden) {
    it(`may not be shown when it is ${JSON.stringify(text)}`, () => assert.equal(mayBeShown(text), false));
  }
});
