// What the pages of stores say that operations cost in round trips, against what goes over the wire.
import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { driver as cockroachdb } from "#sidecar/stores/postgresql/cockroachdb.ts";
import { driver as postgresql } from "#sidecar/stores/postgresql/postgresql.ts";
import { driver as yugabytedb } from "#sidecar/stores/postgresql/yugabytedb.ts";
import { driver as redis } from "#sidecar/stores/redis/redis.ts";
import type { Change, Store, StoreDriver } from "#sidecar/stores/store.ts";
import { makeStandIn } from "#test/servers/cockroachdb.ts";
import { describeWithPostgres, type PostgresServer, startPostgres } from "#test/servers/postgresql.ts";
import { describeWithRedis, type RedisServer, startRedis } from "#test/servers/redis.ts";
import {
  call,
  deletion,
  eventually,
  listeningLog,
  plainClient,
  read,
  removal,
  upsert,
  write,
} from "#test/unit/sidecar/stores/redis/fixture.ts";
import { readPage } from "./pages.ts";

/**
 * Between a client and a server on 127.0.0.1. Counts how often a client speaks after its server did, on the connections
 * that stood when the counting began.
 */
class Relay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #counted = new Set<Socket>();
  #trips = 0;

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect({ host: "127.0.0.1", port });
      let isAnswered = true;
      client.on("data", (bytes) => {
        if (isAnswered && this.#counted.has(client)) this.#trips++;
        isAnswered = false;
        server.write(bytes);
      });
      server.on("data", (bytes) => {
        isAnswered = true;
        client.write(bytes);
      });
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        one.on("error", () => one.destroy());
        one.on("close", () => other.destroy());
      }
      this.#sockets.add(client);
      client.on("close", () => this.#sockets.delete(client));
    });
  }

  static async start(port: number): Promise<Relay> {
    const relay = new Relay(port);
    await new Promise<void>((resolve) => relay.#server.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  async tripsOf(task: () => Promise<unknown>): Promise<number> {
    for (const socket of this.#sockets) this.#counted.add(socket);
    this.#trips = 0;
    await task();
    this.#counted.clear();
    return this.#trips;
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** What the table "Cost" of a page says of an operation: the numbers in its cell, in their order. */
function numbersOn(page: string, operation: string): readonly number[] {
  const [, table = ""] = readPage(page).text.split("### Cost\n");
  const row = table.split("\n").find((line) => line.startsWith(`| ${operation} |`));
  assert.ok(row !== undefined, `${page} has no row "${operation}"`);
  return Array.from(row.split("|")[2]?.matchAll(/\d+/g) ?? [], ([number]) => Number(number));
}

function openStore(driver: StoreDriver, version: string, fields: Readonly<Record<string, string>>): Promise<Store> {
  const properties = Object.entries(fields).map(([name, value]) => ({ name, value, secret: false }));
  const prepared = (driver.byVersion?.[version] ?? driver).decode(properties, []);
  return prepared.open({
    component: "test",
    appId: "app",
    clock: systemClock,
    random: systemRandom,
    log: listeningLog(),
    signal: AbortSignal.timeout(30_000),
  });
}

const RANGE = { scope: "app||", start: "app||" };
const SAVES: readonly Change[] = [upsert("app||a", "1"), upsert("app||b", "2")];
const STRONG = { strong: true };

describeWithRedis("round trips of state.redis", () => {
  const page = "docs/stores/redis.md";
  let server: RedisServer;
  let relay: Relay;
  let store: Store;

  before(async () => {
    server = await startRedis();
    relay = await Relay.start(server.port);
    store = await openStore(redis, "v1", { redisHost: `127.0.0.1:${relay.port}` });
    // Scripts and what is asked once per connection.
    await store.set(write("app||warm", "1"), call);
    await store.remove(removal("app||warm"), call);
    await store.transact?.(SAVES, call);
    await store.list?.({ range: RANGE, after: null, limit: 10, values: false }, call);
    await store.removeListed?.(["app||none"], call);
  });
  after(async () => {
    await store.close();
    await relay.stop();
    await server.stop();
  });

  const takes = async (trips: number | undefined, task: () => Promise<unknown> | undefined): Promise<void> => {
    assert.equal(await relay.tripsOf(async () => await task()), trips);
  };

  it("are what the page says of reads and writes of keys", async () => {
    const [get, otherForm = 0] = numbersOn(page, "get");
    const client = plainClient(server.port);
    try {
      await client.set("app||text", "1");
    } finally {
      client.disconnect();
    }
    await takes(get, () => store.get("app||a", read, call));
    await takes(Number(get) + otherForm, () => store.get("app||text", read, call));
    const [change] = numbersOn(page, "save, delete, transaction");
    await takes(change, () => store.set(write("app||a", "1", { ttlSec: 60 }), call));
    await takes(change, () => store.remove(removal("app||text"), call));
    await takes(change, () => store.transact?.([...SAVES, deletion("app||c")], call));
    const [bulk] = numbersOn(page, "bulk get");
    await takes(bulk, () => store.getMany?.(["app||a", "app||b", "app||c"], read, call));
  });

  it("are what the page says of walks", async () => {
    const [scan = 0, , finds = 0, , , values = 0] = numbersOn(page, "a page of keys");
    const pageOf = (withValues: boolean): Promise<unknown> | undefined =>
      store.list?.({ range: RANGE, after: null, limit: 1000, values: withValues }, call);
    await takes(scan + finds, () => pageOf(false));
    await takes(scan + finds + values, () => pageOf(true));
    await takes(numbersOn(page, "delete by prefix")[0], () => store.removeListed?.(["app||a", "app||b"], call));
    await takes(scan, () => pageOf(false));
  });

  it("are what the page says of strong writes, with and without replicas", async () => {
    const [none = 0, look = 0] = numbersOn(page, "the same, strong, without replicas");
    const [connected = 0, , less = 0] = numbersOn(page, "the same, strong, while replicas are connected");
    const strong = (): Promise<unknown> => store.set(write("app||s", "1", STRONG), call);
    // Within the second for which it believes that there is none.
    await eventually(() => takes(none, strong));
    const replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(server.port)] });
    const numbered = await openStore(redis, "v1", { redisHost: `127.0.0.1:${relay.port}`, strongAcks: "1" });
    try {
      await eventually(() => numbered.set(write("app||s", "1", STRONG), call));
      await takes(connected - less, () => numbered.set(write("app||s", "2", STRONG), call));
      await eventually(async () => assert.equal(await relay.tripsOf(strong), connected));
    } finally {
      await numbered.close();
      await replica.stop();
    }
    await eventually(async () => assert.equal(await relay.tripsOf(strong), none + look));
  });
});

const SQL_STORES: readonly {
  readonly name: string;
  readonly driver: StoreDriver;
  readonly versions: readonly string[];
}[] = [
  { name: "postgresql", driver: postgresql, versions: ["v1", "v2"] },
  { name: "cockroachdb", driver: cockroachdb, versions: ["v1", "v2"] },
  { name: "yugabytedb", driver: yugabytedb, versions: ["v2"] },
];
/** One more than a statement of a bulk read asks for. */
const BULK_KEYS = 1001;

describeWithPostgres("round trips of the stores that speak PostgreSQL's protocol", () => {
  let server: PostgresServer;
  let relay: Relay;
  before(async () => {
    server = await startPostgres();
    relay = await Relay.start(server.port);
  });
  after(async () => {
    await relay.stop();
    await server.stop();
  });

  for (const { name, driver, version } of SQL_STORES.flatMap((each) =>
    each.versions.map((version) => ({ ...each, version })),
  )) {
    it(`are what the page says of state.${name} ${version}, where PostgreSQL stands in for another server`, async () => {
      const database = `trips_${name}_${version}`;
      await makeStandIn(server, database);
      const connectionString = server.url(database, relay.port);
      const store = await openStore(driver, version, { connectionString, maxConns: "1" });
      try {
        await checkSql(store, `docs/stores/${name}.md`);
      } finally {
        await store.close();
      }
    });
  }

  async function checkSql(store: Store, page: string): Promise<void> {
    const takes = async (trips: number | undefined, task: () => Promise<unknown> | undefined): Promise<void> => {
      assert.equal(await relay.tripsOf(async () => await task()), trips);
    };
    const [single] = numbersOn(page, "get, save, delete, with an ETag and without");
    await takes(single, () => store.set(write("app||a", "1", { ttlSec: 60 }), call));
    const etag = (await store.get("app||a", read, call))?.etag ?? "";
    await takes(single, () => store.get("app||a", read, call));
    await takes(single, () => store.set(write("app||a", "2", { etag }), call));
    await takes(single, () => store.remove(removal("app||a"), call));
    const keys = Array.from({ length: BULK_KEYS }, (_, index) => `app||${index}`);
    await takes(2 * (numbersOn(page, "bulk get")[0] ?? 0), () => store.getMany?.(keys, read, call));
    await checkTransactions(store, page, takes);
    if (store.list === undefined) return;
    const [walk] = numbersOn(page, "a page of keys, with values or without");
    for (const values of [true, false])
      await takes(walk, () => store.list?.({ range: RANGE, after: null, limit: 1000, values }, call));
    await takes(numbersOn(page, "count")[0], () => store.count?.(RANGE, call));
    await takes(numbersOn(page, "delete by prefix")[0], () => store.removeRange?.(RANGE, 1000, call));
  }

  async function checkTransactions(
    store: Store,
    page: string,
    takes: (trips: number | undefined, task: () => Promise<unknown> | undefined) => Promise<void>,
  ): Promise<void> {
    const isPostgres = page.includes("postgresql");
    const [base = 0, mixed = 0, first = 0] = numbersOn(
      page,
      isPostgres ? "transaction over several keys" : "transaction",
    );
    const one = isPostgres ? numbersOn(page, "transaction of one change")[0] : base;
    await takes(one, () => store.transact?.([upsert("app||a", "1")], call));
    await takes(one, () => store.transact?.([deletion("app||a")], call));
    await takes(base, () => store.transact?.(SAVES, call));
    await takes(base + mixed, () => store.transact?.([...SAVES, deletion("app||c")], call));
    const all = [...SAVES, deletion("app||c"), upsert("app||d", "4", { firstWrite: true })];
    await takes(base + mixed + first, () => store.transact?.(all, call));
  }
});
