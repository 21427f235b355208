// What the tests of the Spanner driver share: a store opened as the sidecar opens it, and one fake per describe, with a
// second client beside it.
import { systemClock } from "#kit/clock.ts";
import { systemRandom } from "#kit/random.ts";
import { GoogleClient } from "#sidecar/stores/google/client.ts";
import type { Calls } from "#sidecar/stores/spanner/calls.ts";
import { Session } from "#sidecar/stores/spanner/session.ts";
import { driver } from "#sidecar/stores/spanner/spanner.ts";
import { SpannerStore } from "#sidecar/stores/spanner/spanner-store.ts";
import { Transactions } from "#sidecar/stores/spanner/transaction.ts";
import type { PreparedStore, Store } from "#sidecar/stores/store.ts";
import { type SpannerServer, startSpanner } from "#test/servers/spanner.ts";
import { SpannerClient } from "#test/servers/spanner-client.ts";
import { forAllTests, keeping, type OneServer } from "#test/stores/bench.ts";
import { decode, type Fields, open as openPrepared } from "#test/stores/opening.ts";

export * from "#test/stores/eventually.ts";
export * from "#test/stores/requests.ts";

export function prepare(given: Fields): PreparedStore {
  return decode(driver, given);
}

export function openStore(given: Fields, signal?: AbortSignal): Promise<Store> {
  return openPrepared(prepare(given), signal === undefined ? {} : { signal });
}

export interface Bench extends OneServer<SpannerServer> {
  second(): SpannerClient;
  /** A store on the fake; closed after the test. */
  open(more?: Fields): Promise<Store>;
  /** A store over calls of the test's own, on the table that `open` makes. */
  over(make: (options: ConstructorParameters<typeof Calls>[0]) => Calls, maxStalenessMs?: number): Store;
}

/** One fake for the describe that calls this. */
export function onOneServer(): Bench {
  const both = forAllTests(async (keep) => {
    const server = await startSpanner();
    keep(server, () => server.stop());
    const second = await SpannerClient.open(server.metadata);
    return { server, second: keep(second, () => second.close()) };
  });
  const { keep } = keeping();
  const server = (): SpannerServer => both().server;
  const open: Bench["open"] = async (more = {}) => {
    const store = await openStore({ ...server().metadata, ...more });
    return keep(store, () => store.close());
  };
  const over: Bench["over"] = (make, maxStalenessMs = 0) => {
    const clock = systemClock;
    const endpoint = { address: server().address, isService: false };
    const client = new GoogleClient({ service: "spanner", endpoint, credentials: null, clock });
    const database = "projects/test/instances/test/databases/test";
    const calls = make({ client, session: new Session({ client, clock, database }), database, table: "state" });
    const transactions = new Transactions({ calls, clock, random: systemRandom });
    const bounds = { timeoutMs: 10_000, maxStalenessMs };
    const store = new SpannerStore({ client, calls, transactions, clock, random: systemRandom, ...bounds });
    return keep(store, () => store.close());
  };
  return { server, second: () => both().second, keep, open, over };
}
