// What Dapr's own ZooKeeper driver can write after all: it makes no nodes, but updates and deletes those that are there.
import assert from "node:assert/strict";
import { pluggableDriver } from "#sidecar/stores/pluggable/pluggable.ts";
import type { Store } from "#sidecar/stores/store.ts";
import { openContext } from "#test/conformance/case.ts";
import { rejectsWith } from "#test/conformance/checks.ts";
import { call, json, READ, removal, utf8, write } from "#test/conformance/requests.ts";
import { properties, type Running } from "#test/conformance/subject.ts";
import { zooKeeper } from "#test/conformance/zookeeper.ts";
import { daprDriversMissing, type PluggableComponent, startDaprDrivers } from "#test/servers/pluggable.ts";

const OPEN_MS = 20_000;
/** Dapr's driver gets what the JSON means, as from Dapr's HTTP API. */
const DECODED = { "test.decoded": "true" };

const skip = zooKeeper.skip ?? daprDriversMissing();
const register = skip === null ? describe : describe.skip;

register(`a node that Dapr's own driver updates${skip === null ? "" : ` (not run: ${skip})`}`, () => {
  let running: Running | null = null;
  let drivers: PluggableComponent | null = null;
  let stores: { readonly ours: Store; readonly dapr: Store } | null = null;
  const both = (): { readonly ours: Store; readonly dapr: Store } => {
    assert.ok(stores !== null, "the stores were not opened");
    return stores;
  };

  before(async () => {
    running = await zooKeeper.start();
    drivers = await startDaprDrivers();
    const context = openContext(AbortSignal.timeout(OPEN_MS), []);
    const given = Object.fromEntries(running.properties.map(({ name, value }) => [name, value]));
    const component = pluggableDriver("state.dapr", drivers.folder).decode(
      properties({ ...given, driver: "zookeeper" }),
      [],
    );
    const ours = await zooKeeper.driver.decode(running.properties, []).open(context);
    stores = { ours, dapr: ours };
    stores = { ours, dapr: await component.open({ ...context, component: "zookeeper" }) };
  });
  after(async () => {
    await stores?.dapr.close();
    await stores?.ours.close();
    await drivers?.stop();
    await running?.stop();
  });

  for (const [what, bytes, metadata] of [
    ["an object", json({ a: { b: [1, 2.5, null, "é☕<"] } }), DECODED],
    ["null", json(null), DECODED],
    ["bytes that are no text", Uint8Array.of(0, 255, 254, 1), {}],
    ["a large value", utf8("x".repeat(1_000_000)), {}],
  ] as const) {
    it(`is read, and the ETag of before no longer fits: ${what}`, async () => {
      const { ours, dapr } = both();
      const key = `interchange||${what}/below`;
      await ours.set(write(key, json("before")), call());
      const before = await ours.get(key, READ, call());
      await dapr.set(write(key, bytes, { metadata }), call());
      const found = await ours.get(key, READ, call());
      assert.deepEqual(Buffer.from(found?.bytes ?? []), Buffer.from(bytes));
      await rejectsWith(ours.set(write(key, json("late"), { etag: before?.etag ?? "" }), call()), ["etag-mismatch"]);
      await ours.set(write(key, json("after"), { etag: found?.etag ?? "" }), call());
      assert.equal(Buffer.from((await dapr.get(key, READ, call()))?.bytes ?? []).toString(), '"after"');
      await dapr.remove(removal(key), call());
      assert.equal(await ours.get(key, READ, call()), null);
    });
  }

  it("is a value of no bytes to Dapr and none here, as docs/stores/zookeeper.md says", async () => {
    const { ours, dapr } = both();
    const key = "interchange||empty";
    await ours.set(write(key, new Uint8Array(0), { isJson: false }), call());
    assert.deepEqual(
      [(await ours.get(key, READ, call()))?.bytes.length, (await dapr.get(key, READ, call()))?.bytes.length],
      [0, 0],
    );
    await dapr.set(write(key, new Uint8Array(0)), call());
    assert.equal(await ours.get(key, READ, call()), null);
    await ours.set(write(key, json(1), { firstWrite: true }), call());
    assert.equal(Buffer.from((await dapr.get(key, READ, call()))?.bytes ?? []).toString(), "1");
  });
});
