// What the page of state.memcached shows for looking into the store: the command as printed there, against what a sidecar
// has written.
import assert from "node:assert/strict";
import { describeWithMemcached, startMemcached } from "#test/servers/memcached.ts";
import { save } from "#test/wire/client.ts";
import { component, startWire } from "#test/wire/sidecar.ts";
import { readPage } from "./pages.ts";

const COMMAND = /^printf '(.+\\r\\n)quit\\r\\n' \| nc localhost 11211\n$/;

describeWithMemcached("a look into memcached", () => {
  it("shows the value", async () => {
    const [block, ...more] = readPage("docs/stores/memcached.md").blocks.filter(({ language }) => language === "sh");
    assert.deepEqual([block !== undefined, more], [true, []]);
    const lines = COMMAND.exec(block?.text ?? "")?.[1]?.replaceAll("\\r\\n", "\r\n") ?? "";
    const server = await startMemcached();
    const manifest = component("statestore", "state.memcached", { hosts: server.address });
    const wire = await startWire({ manifests: { "a.yaml": manifest }, settings: { appId: "orders-app" } });
    try {
      await save(wire, "order-1", '{"a": 1}');
      assert.equal(await server.raw(lines), 'VALUE orders-app||order-1 0 8\r\n{"a": 1}\r\nEND\r\n');
    } finally {
      await wire.stop();
      await server.stop();
    }
  });
});
