// An etcd cluster whose members are killed one after the other while writers write: what was acknowledged is there, no
// transaction is there by half, and the sidecar goes on by itself.
import { describeWithEtcd, type EtcdServer, startEtcdCluster } from "#test/servers/etcd.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

describeWithEtcd("an etcd cluster whose members are killed", () => {
  let servers: readonly EtcdServer[];
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    servers = await startEtcdCluster(3);
    const endpoints = servers.map(({ address }) => address).join(",");
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.etcd", { endpoints }) } });
  });
  after(async () => {
    await wire.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(300_000);
    await whileWriting({ wire, by: "transaction" }, async (writers) => {
      for (const server of servers) {
        await writers.goOn();
        await server.kill9();
        await writers.goOn(1);
        await server.restart();
      }
      await writers.goOn(1);
    });
  });
});
