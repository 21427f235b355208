// A Spanner that is killed and started again, while writers write: what was acknowledged is there, no transaction is there
// by half, and the sidecar goes on by itself. The fake keeps what it has answered, as the service does; its sessions go.
import assert from "node:assert/strict";
import { describeWithSpanner, type SpannerServer, startSpanner } from "#test/servers/spanner.ts";
import { component, startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import { whileWriting } from "./writers.ts";

const KILLS = 3;

describeWithSpanner("a Spanner that is killed", () => {
  let server: SpannerServer;
  let wire: WireSidecar;

  before(async function () {
    this.timeout(300_000);
    server = await startSpanner();
    wire = await startWire({ manifests: { "a.yaml": component("statestore", "state.gcp.spanner", server.metadata) } });
  });
  after(async () => {
    await wire.stop();
    await server.stop();
  });

  it("loses no acknowledged transaction and none by half, and is found again", async function () {
    this.timeout(300_000);
    const refused = (text: string): void => assert.match(text, /spanner at 127\.0\.0\.1:\d+/);
    await whileWriting({ wire, by: "transaction", refused }, async (writers) => {
      for (let kill = 0; kill < KILLS; kill++) {
        await writers.goOn();
        await server.kill9();
        await server.restart();
      }
      await writers.goOn(1);
    });
  });
});
