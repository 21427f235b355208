// What a store begins with, a table and a session, and which reads may be stale.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "#kit/clock.ts";
import { GoogleClient, type How, type Method } from "#sidecar/stores/google/client.ts";
import { Calls, type ReadEnd, type RowsRequest, STRONG, stale, type Take } from "#sidecar/stores/spanner/calls.ts";
import { Session } from "#sidecar/stores/spanner/session.ts";
import { describeWithSpanner } from "#test/servers/spanner.ts";
import { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { call, onOneServer, openStore, read, textOf, write } from "./fixture.ts";

describeWithSpanner("the opening of a Spanner store", () => {
  const { server, second, keep, open, over } = onOneServer();

  it("makes the table once, however many open at the same time", async () => {
    const stores = await Promise.all(Array.from({ length: 5 }, () => open({ tableName: "together" })));
    for (const [index, store] of stores.entries()) await store.set(write(`k${index}`, "1"), call);
    assert.deepEqual(await second().sql("SELECT COUNT(*) FROM together"), [["5"]]);
  });

  it("ends when its time is up while the table is made, and the next one finds it", async () => {
    const opened = openStore({ ...server().metadata, tableName: "slow" }, AbortSignal.timeout(80));
    await assert.rejects(opened, {
      code: /unavailable|timeout/,
      message: /still making the table slow|the caller left/,
    });
    const store = await open({ tableName: "slow" });
    assert.equal(await textOf(store, "a"), null);
  });

  it("leaves no connection when it fails", async () => {
    const proxy = await TcpProxy.start(server());
    keep(proxy, () => proxy.stop());
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCPSocket")).length;
    const before = sockets();
    const given = { ...server().metadata, endpoint: `127.0.0.1:${proxy.port}`, database_id: "other" };
    await assert.rejects(openStore(given), { code: "unavailable" });
    assert.equal(proxy.accepted, 1);
    // The proxy's two sides of the connection go with the client's.
    for (const end = Date.now() + 30_000; sockets() > before; ) {
      assert.ok(Date.now() < end, "the connection is still there");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });

  it("asks for a new session after seven days", async () => {
    let laterMs = 0;
    const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + laterMs };
    let made = 0;
    class Counting extends GoogleClient {
      override ask<I, O>(method: Method<I, O>, message: I, how: How): Promise<O> {
        if (method.path.endsWith("/CreateSession")) made++;
        return super.ask(method, message, how);
      }
    }
    const endpoint = { address: server().address, isService: false };
    const client = new Counting({ service: "spanner", endpoint, credentials: null, clock });
    keep(client, () => client.close());
    const session = new Session({ client, clock, database: "projects/test/instances/test/databases/test" });
    const name = (): Promise<string> => {
      const how = { signal: call.signal, deadlineMs: clock.monotonicMs() + 5000, headers: [] };
      return session.during(how, async (each) => each);
    };
    const first = await name();
    assert.deepEqual([await name(), made], [first, 1]);
    laterMs = 7 * 24 * 3_600_000 + 1;
    assert.notEqual(await name(), first);
    assert.equal(made, 2);
  });

  it("reads as stale as it may, and strong where that is asked for", async () => {
    await open();
    const asked: unknown[] = [];
    class Listening extends Calls {
      override read(session: string, request: RowsRequest, how: How, take: Take): Promise<ReadEnd> {
        asked.push(request.transaction.selector);
        return super.read(session, request, how, take);
      }
    }
    const single = (singleUse: unknown): unknown => ({ $case: "singleUse", singleUse });
    const store = over((options) => new Listening(options), 15_000);
    await store.get("a", read, call);
    await store.getMany?.(["a", "b"], read, call);
    await store.get("a", { ...read, strong: true }, call);
    await store.ping(call);
    await store.list?.({ range: { scope: "", start: "" }, after: null, limit: 1, values: false }, call);
    const [eventual, strong] = [single(stale(15_000)), single(STRONG)];
    assert.deepEqual(asked, [eventual, eventual, strong, strong, strong]);
    asked.length = 0;
    await over((options) => new Listening(options)).get("a", read, call);
    assert.deepEqual(asked, [strong]);
  });
});
