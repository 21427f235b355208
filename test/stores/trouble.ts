// What every store does when its server cannot be reached or the way to it breaks, as tests of the describe that asks for
// them. A driver's own tests say what is its own: how it names its server, and what besides is in doubt.
import assert from "node:assert/strict";
import type { Store } from "#sidecar/stores/store.ts";
import { freePort } from "#test/servers/free-port.ts";
import type { TcpProxy } from "#test/servers/tcp-proxy.ts";
import { eventually } from "./eventually.ts";
import { call, read, textOf, write } from "./requests.ts";

/** A store whose way to its server goes through a proxy, both ended after the test. */
export interface ThroughProxy {
  readonly proxy: TcpProxy;
  readonly store: Store;
}

type Through = () => ThroughProxy | Promise<ThroughProxy>;

/** `open` opens a store on a port of 127.0.0.1, on which nobody listens. */
export function itSaysWhereNobodyListens(
  open: (port: number) => Promise<Store>,
  message: (port: number) => string | RegExp,
): void {
  it("does not open when nobody listens, and says where", async () => {
    const port = await freePort();
    const want = { name: "StoreError", code: "unavailable", message: message(port) };
    await assert.rejects(open(port), want);
  });
}

export function itRepeatsReads(through: Through): void {
  it("repeats a read whose connection breaks", async () => {
    const { proxy, store } = await through();
    await store.set(write("again", "1"), call);
    const reading = textOf(store, "again");
    proxy.cut();
    assert.equal(await reading, "1");
  });
}

export interface DoubtfulWrite {
  /** "NATS", as errors name it. */
  readonly product: string;
  /** How often a key was written, by whatever the store counts. */
  readonly timesOf: (store: Store, key: string) => Promise<number>;
  /** Whether a request is one piece, which the server has whole when the connection is cut behind it. */
  readonly arrives: boolean;
}

export function itLeavesWritesInDoubt(through: Through, { product, timesOf, arrives }: DoubtfulWrite): void {
  it("says that a write may have happened when the connection breaks behind it, and does not repeat it", async () => {
    const { proxy, store } = await through();
    await store.set(write("cut", "1"), call);
    const before = await timesOf(store, "cut");
    proxy.mode = "cut-after-request";
    await assert.rejects(store.set(write("cut", "2"), call), {
      code: "unknown-outcome",
      message: `lost the connection to ${product} at 127.0.0.1:${proxy.port}; the write may have happened`,
    });
    proxy.mode = "pass";
    await eventually(async () => assert.match((await textOf(store, "cut")) ?? "", arrives ? /^2$/ : /^[12]$/));
    const times = (await timesOf(store, "cut")) - before;
    assert.ok(arrives ? times === 1 : times <= 1, `written ${times} times`);
  });
}

export interface OneConnection {
  /** "NATS", as errors name it. */
  readonly product: string;
  /** What the log says once per outage. */
  readonly warning: RegExp;
  /** Where the server itself listens. */
  readonly address: () => string;
  /** Opens a store on any of these addresses; whoever asks closes it. */
  readonly open: (addresses: readonly string[], warnings?: string[]) => Promise<Store>;
}

const WAITING_MAX = 16_384;

/** For stores whose calls all share one connection, to one server of several. */
export function itSharesOneConnection(through: Through, { product, warning, address, open }: OneConnection): void {
  it("lets so many requests wait and no more, and then refuses at once", async () => {
    const { proxy, store } = await through();
    proxy.mode = "black-hole";
    const leaving = new AbortController();
    const waiting = Array.from({ length: WAITING_MAX }, () => store.get("k", read, { signal: leaving.signal }));
    const all = Promise.allSettled(waiting);
    await assert.rejects(store.set(write("k", "1"), call), {
      code: "unavailable",
      message: `${WAITING_MAX} requests wait for ${product} at 127.0.0.1:${proxy.port}`,
    });
    leaving.abort();
    assert.ok((await all).every(({ status }) => status === "rejected"));
    proxy.mode = "pass";
    proxy.cut();
    await eventually(() => store.set(write("k", "2"), call));
  });

  it("says once in the log that a server fails, until it is reached again", async () => {
    const { proxy } = await through();
    const warnings: string[] = [];
    const told = await open([`127.0.0.1:${proxy.port}`], warnings);
    for (const outages of [1, 2]) {
      proxy.mode = "refuse";
      for (let turn = 0; turn < 5; turn++) await assert.rejects(told.ping(call));
      assert.equal(warnings.length, outages, warnings.join("\n"));
      proxy.mode = "pass";
      await told.ping(call);
    }
    assert.match(warnings.join(), warning);
    await told.close();
  });

  it("asks the next server where one is away, whichever it begins with", async () => {
    for (let turn = 0; turn < 6; turn++) {
      const both = await open([`127.0.0.1:${await freePort()}`, address()]);
      await both.ping(call);
      await both.close();
    }
  });
}
