// The manifest's fields.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { parseServers } from "#sidecar/stores/zookeeper/servers.ts";
import { prepare } from "./fixture.ts";

function faultsOf(given: Readonly<Record<string, string>>): string[] {
  const { faults } = prepare({ servers: "zk:2181", ...given });
  return faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

describe("the fields of state.zookeeper", () => {
  it("takes what Dapr's own page shows", () => {
    const sizes = { maxBufferSize: "", maxConnBufferSize: "1048576" };
    assert.deepEqual(faultsOf({ servers: "zookeeper.default.svc.cluster.local:2181", sessionTimeout: "5s" }), []);
    assert.deepEqual(faultsOf({ ...sizes, keyPrefixPath: "/dapr" }).length, 1);
  });

  const refused: [given: Readonly<Record<string, string>>, want: RegExp][] = [
    [{ servers: "" }, /^error servers: want a value: the field is required/],
    [{ servers: "a:2181,,b" }, /^error servers: got "a:2181,,b", want servers as in/],
    [{ servers: "a:2181/chroot" }, /^error servers: .*without a path/],
    [{ servers: "[nonsense]:2181" }, /^error servers: .*servers as in/],
    [{ servers: "a:99999" }, /^error servers: .* a port from 1 to 65535/],
    [{ servers: new Array(33).fill("a").join(",") }, /^error servers: .* at most 32/],
    [{ sessionTimeout: "" }, /^error sessionTimeout: want a value/],
    [{ sessionTimeout: "soon" }, /^error sessionTimeout: got "soon"/],
    [{ sessionTimeout: "10ms" }, /^error sessionTimeout: .*from 1000ms/],
    [{ maxConnBufferSize: "1000" }, /^error maxConnBufferSize: got "1000", want 0, or at least 32768/],
    [{ keyPrefixPath: "/zookeeper/dapr" }, /^error keyPrefixPath: .*outside \/zookeeper/],
    [{ keyPrefixPath: "/x/../zookeeper" }, /^error keyPrefixPath: .*outside \/zookeeper/],
    [{ keyPrefixPath: "/\u{1f9fa}" }, /^error keyPrefixPath: .*characters that ZooKeeper takes/],
    [{ keyPrefixPath: `/${"p".repeat(1024)}` }, /^error keyPrefixPath: .*at most 1024 bytes/],
  ];
  for (const [given, want] of refused) {
    it(`refuses ${JSON.stringify(given).slice(0, 60)}`, () => {
      const faults = faultsOf(given);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", want);
    });
  }

  it("says that the size of answers is not limited", () => {
    assert.match(faultsOf({ maxBufferSize: "1048576" })[0] ?? "", /^warning maxBufferSize: .* as large as the value/);
  });

  it("takes a bare session timeout for seconds", () => {
    const fingerprint = (sessionTimeout: string): unknown => prepare({ servers: "zk", sessionTimeout }).fingerprint;
    assert.equal(fingerprint("10"), fingerprint("10s"));
    assert.notEqual(fingerprint("10"), null);
  });

  it("completes ports, and keeps the order of the servers", () => {
    const servers = parseServers("b, a:1 ,[::1]:2");
    assert.ok(!("want" in servers));
    assert.deepEqual(
      servers.map(({ host, port, name }) => [host, port, name]),
      [
        ["b", 2181, "b:2181"],
        ["a", 1, "a:1"],
        ["::1", 2, "[::1]:2"],
      ],
    );
  });
});
