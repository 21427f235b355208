// What happens to requests of both drivers when the service or the way to it fails, and that they find back by themselves.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { describeWithAzurite } from "#test/servers/azurite.ts";
import { freePort } from "#test/servers/free-port.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { call, onOneAzurite, openStore, textOf, upsert, write } from "./fixture.ts";

describeWithAzurite("a store on Azure in trouble", () => {
  const bench = onOneAzurite();

  async function behindProxy(kind: "blobs" | "tables"): Promise<{ store: Store; proxy: TcpProxy }> {
    const { blobPort, tablePort } = bench.azurite();
    const proxy = await TcpProxy.start({ host: "127.0.0.1", port: kind === "blobs" ? blobPort : tablePort });
    bench.keep(proxy, () => proxy.stop());
    const fields = kind === "blobs" ? bench.blobFields(proxy.port) : bench.tableFields(proxy.port);
    const store = await openStore(kind, fields);
    return { store: bench.keep(store, () => store.close()), proxy };
  }

  for (const kind of ["blobs", "tables"] as const) {
    describe(kind, () => {
      it("says that a write may have happened when the connection breaks behind it, and does not repeat it", async () => {
        const { store, proxy } = await behindProxy(kind);
        proxy.mode = "cut-after-request";
        const lost = { code: "unknown-outcome", message: /^lost the connection to Azure .* may have happened$/ };
        await assert.rejects(store.set(write("app||k", "1"), call), lost);
        if (store.transact !== undefined)
          await assert.rejects(store.transact([upsert("app||k", "1"), upsert("app||l", "1")], call), lost);
        proxy.mode = "pass";
        await store.set(write("app||k", "2"), call);
        assert.equal(await textOf(store, "app||k"), "2");
      });

      it("ends when its caller leaves a service that says nothing, and goes on when it speaks again", async () => {
        const { store, proxy } = await behindProxy(kind);
        await store.set(write("app||k", "1"), call);
        proxy.mode = "black-hole";
        const leaving = { signal: AbortSignal.timeout(200) };
        await assert.rejects(store.set(write("app||k", "2"), leaving), {
          code: "timeout",
          message: /may have happened/,
        });
        proxy.mode = "pass";
        assert.equal(await textOf(store, "app||k"), "1");
      });

      it("fails while connections are refused, and says where", async () => {
        const { store, proxy } = await behindProxy(kind);
        await store.set(write("app||k", "1"), call);
        proxy.mode = "refuse";
        const where = new RegExp(`Azure (Blob|Table) Storage at 127\\.0\\.0\\.1:${proxy.port}`);
        await assert.rejects(textOf(store, "app||k"), { code: "unavailable", message: where });
        proxy.mode = "pass";
        assert.equal(await textOf(store, "app||k"), "1");
      });

      it("says that nothing was written where there was no connection", async () => {
        const port = await freePort();
        const fields = kind === "blobs" ? bench.blobFields(port) : bench.tableFields(port);
        await assert.rejects(openStore(kind, fields), {
          code: "unavailable",
          message: new RegExp(`^cannot connect to Azure .* at 127\\.0\\.0\\.1:${port}: ECONNREFUSED$`),
        });
      });

      it("is not opened with a wrong key, and shows neither of the two", async () => {
        const wrong = Buffer.from("hunter2, hunter2, hunter2").toString("base64");
        const fields = kind === "blobs" ? bench.blobFields() : bench.tableFields();
        await assert.rejects(openStore(kind, { ...fields, accountKey: wrong }), (error: Error) => {
          assert.match(error.message, /does not let this caller in; check the key/);
          assert.doesNotMatch(`${error.stack}`, new RegExp(wrong.slice(0, 12)));
          return true;
        });
      });

      it("is not opened where nobody may make what is not there, and says what is missing", async () => {
        const more =
          kind === "blobs"
            ? { ...bench.blobFields(), containerName: "missing", disableEntityManagement: "true" }
            : { ...bench.tableFields(), tableName: "missing", skipCreateTable: "true" };
        await assert.rejects(openStore(kind, more), {
          code: "unavailable",
          message: kind === "blobs" ? /has no such container/ : /has no such table/,
        });
      });
    });
  }

  it("says of a value with somebody's lease on it why it was not written", async () => {
    const store = await bench.open("blobs");
    await store.set(write("app||leased", "1"), call);
    const lease = bench.azurite().container("state").getBlockBlobClient("app||leased").getBlobLeaseClient();
    await lease.acquireLease(15);
    await assert.rejects(store.set(write("app||leased", "2"), call), { code: "unavailable", message: /has a lease/ });
    await lease.releaseLease();
    await store.set(write("app||leased", "2"), call);
  });
});
