// What the page of state.jetstream shows for making and looking into the store, asked of NATS' own key-value client, which
// does what the `nats` command does, against what a sidecar has written.
import assert from "node:assert/strict";
import { describeWithNats, openBucket, startNats } from "#test/servers/nats.ts";
import { save } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const ADD = /^nats kv add (\S+) --history=1\n$/;
const GET = /^nats kv get (\S+) (\S+) --raw\n$/;

describeWithNats("a look into JetStream", () => {
  it("shows the value", async () => {
    const blocks = readPage("docs/stores/jetstream.md").blocks.filter(({ language }) => language === "sh");
    assert.equal(blocks.length, 2);
    const [, made = ""] = ADD.exec(blocks[0]?.text ?? "") ?? [];
    const [, asked, name = ""] = GET.exec(blocks[1]?.text ?? "") ?? [];
    assert.equal(asked, made);
    const server = await startNats();
    const bucket = await openBucket(server.url, made, { history: 1 });
    const manifest = component("statestore", "state.jetstream", { natsURL: server.url, bucket: made });
    const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
    try {
      await save(wire, "order-1", '{"a": 1}');
      assert.equal((await bucket.kv.get(name))?.string(), '{"a": 1}');
    } finally {
      await wire.stop();
      await bucket.close();
      await server.stop();
    }
  });
});
