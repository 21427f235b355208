// A Datastore that goes away and comes back, while writers write: what was acknowledged is there, no transaction is there by
// half, and the sidecar goes on by itself. The emulator keeps only what it can write to disk at its end, which the service
// does with each write: its clients are cut off first, in the middle of their requests.
import assert from "node:assert/strict";
import { type DatastoreServer, describeWithDatastore, startDatastore } from "#test/servers/datastore.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileRaising } from "./raising.ts";
import { whileWriting } from "./writers.ts";

const CUTS = 3;

describeWithDatastore("a Datastore that goes away", () => {
  let server: DatastoreServer;
  let proxy: TcpProxy;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    server = await startDatastore();
    proxy = await TcpProxy.start(server);
    const metadata = { ...server.metadata, endpoint: `127.0.0.1:${proxy.port}` };
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.gcp.firestore", metadata) } });
  });
  after(async () => {
    await wire.stop();
    await proxy.stop();
    await server.stop();
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(300_000);
    const refused = (text: string): void => assert.match(text, /datastore at 127\.0\.0\.1:\d+/);
    await whileWriting({ wire, by: "transaction", refused }, async (writers) => {
      for (let cut = 0; cut < CUTS; cut++) {
        await writers.goOn();
        proxy.mode = "refuse";
        await server.halt();
        await server.restart();
        proxy.mode = "pass";
      }
      await writers.goOn(1);
    });
  });

  it("loses no increment of callers that compare ETags, whatever is cut", async function () {
    this.timeout(300_000);
    await whileRaising({ wire, callers: 8 }, async (raises) => {
      for (let cut = 0; cut < CUTS; cut++) {
        await raises.goOn(21);
        proxy.cut();
      }
      await raises.goOn(1);
    });
  });
});
