// An ensemble of ZooKeeper whose servers are killed one after the other while writers write: what was acknowledged is
// there, no transaction is there by half, and the sidecar goes on by itself. Then one that only hangs.
import { describeWithZooKeeper, startZooKeepers, type ZooKeeperServer } from "#test/servers/zookeeper.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

describeWithZooKeeper("a ZooKeeper ensemble whose servers are killed", () => {
  let servers: readonly ZooKeeperServer[];
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    servers = await startZooKeepers(3);
    const addresses = servers.map(({ address }) => address).join(",");
    const metadata = { servers: addresses, sessionTimeout: "4s", keyPrefixPath: "/dapr" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.zookeeper", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(300_000);
    await whileWriting({ wire, by: "transaction", strongReads: true }, async (writers) => {
      for (const server of servers) {
        await writers.goOn();
        await server.kill9();
        await writers.goOn();
        await server.restart();
      }
      for (const server of servers) {
        server.pause();
        try {
          await writers.goOn();
        } finally {
          server.resume();
        }
        await writers.goOn();
      }
    });
  });
});
