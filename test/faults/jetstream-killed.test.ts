// A cluster of NATS servers that are killed one after the other while writers write: what was acknowledged is there, no
// update is lost among writers with ETags where the servers are new enough for them, and the sidecar goes on by itself.
import { keepsConditions } from "#sidecar/stores/jetstream/versions.ts";
import { describeWithNats, type NatsServer, natsVersion, openBucket, startNatsServers } from "#test/servers/nats.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileRaising } from "./raising.ts";
import { whileWriting } from "./writers.ts";

describeWithNats("a NATS cluster whose servers are killed", () => {
  let servers: readonly NatsServer[];
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    servers = await startNatsServers(3);
    const natsURL = servers.map(({ url }) => url).join(",");
    await (await openBucket(natsURL, "state", { replicas: 3 })).close();
    const metadata = { natsURL, bucket: "state" };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.jetstream", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await Promise.all(servers.map((server) => server.stop()));
  });

  it("loses no acknowledged write, no update to another, and is found again", async function () {
    this.timeout(300_000);
    const callers = keepsConditions(natsVersion() ?? "", servers.length) ? 2 : 0;
    await whileRaising({ wire, callers, strongReads: true }, async () => {
      await whileWriting({ wire, by: "save", strongReads: true }, async (writers) => {
        for (const server of servers) {
          await writers.goOn();
          await server.kill9();
          await writers.goOn();
          await server.restart();
        }
        await writers.goOn();
      });
    });
  });
});
