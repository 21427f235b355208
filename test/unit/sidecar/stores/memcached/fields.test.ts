// The manifest's fields, and which server has a key.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { parseHosts, placeOf } from "#sidecar/stores/memcached/hosts.ts";
import { prepare } from "./fixture.ts";

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare({ hosts: "cache:11211", ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.memcached", () => {
  it("takes what Dapr's own page shows", () => {
    assert.deepEqual(faultsOf({ hosts: "localhost:11211", timeout: "5s" }), []);
    assert.deepEqual(faultsOf({ timeout: "1000" }), []);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ hosts: "" }, /^error hosts: want a value: the field is required/],
    [{ hosts: "a:11211,,b" }, /^error hosts: got "a:11211,,b", want hosts as in/],
    [{ hosts: "a:99999" }, /^error hosts: .* a port from 1 to 65535/],
    [{ hosts: "user:s3cr3t@a" }, /^error hosts: want hosts as in/],
    [{ hosts: new Array(65).fill("a").join(",") }, /^error hosts: .* at most 64/],
    [{ timeout: "soon" }, /^error timeout: got "soon"/],
    [{ etags: "perhaps" }, /^error etags/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
      assert.doesNotMatch(faults.join(), /s3cr3t/);
    });
  }

  it("says that there is no pool", () => {
    assert.match(faultsOf({ maxIdleConnections: "2" })[0] ?? "", /^warning maxIdleConnections: .* one pipelined/);
  });

  it("completes ports, and keeps the order of the hosts", () => {
    const hosts = parseHosts("b, a:1 ,[::1]:2");
    assert.ok(!("want" in hosts));
    assert.deepEqual(
      hosts.map(({ host, port, name }) => [host, port, name]),
      [
        ["b", 11_211, "b:11211"],
        ["a", 1, "a:1"],
        ["::1", 2, "[::1]:2"],
      ],
    );
  });
});

describe("the server of a key", () => {
  // 0xcbf43926 is what the checksum's definition gives for these nine digits.
  it("is the key's CRC-32 modulo the number of servers", () => {
    const key = Buffer.from("123456789");
    for (const servers of [2, 3, 7, 64]) assert.equal(placeOf(key, servers), 0xcbf43926 % servers);
    assert.equal(placeOf(key, 1), 0);
  });

  it("is chosen by the first 256 bytes", () => {
    const long = Buffer.alloc(300, "k");
    assert.equal(placeOf(long, 1_000_003), placeOf(long.subarray(0, 256), 1_000_003));
    assert.notEqual(placeOf(long, 1_000_003), placeOf(long.subarray(0, 255), 1_000_003));
  });
});
