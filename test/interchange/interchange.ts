// The suite of interchange: Dapr's own driver and ours open one store with the same Component, and each reads, conditions
// and deletes what the other has written. Dapr's runs behind its pluggable protocol (test/servers/fetched/dapr-drivers).
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { pluggableDriver } from "#sidecar/stores/pluggable/pluggable.ts";
import type { Change, Found, Metadata, Store } from "#sidecar/stores/store.ts";
import { openContext } from "#test/conformance/case.ts";
import { rejectsWith } from "#test/conformance/checks.ts";
import { call, deletion, json, READ, removal, upsert, utf8, write } from "#test/conformance/requests.ts";
import { properties, type Running, type Subject } from "#test/conformance/subject.ts";
import { daprDriversMissing, type PluggableComponent, startDaprDrivers } from "#test/servers/pluggable.ts";

export interface Pair {
  readonly subject: Subject;
  /** Name of Dapr's driver in test/servers/fetched/dapr-drivers/drivers.go: "etcd/v2". */
  readonly dapr: string;
  /** Properties that Dapr's driver is to have otherwise; null leaves one out. */
  readonly differing?: Readonly<Record<string, string | null>>;
  /** Why Dapr's driver can write nothing here: then it only reads. */
  readonly daprWritesNothing?: string;
  /** What every request to Dapr's driver says in its metadata. */
  readonly saying?: Metadata;
  /** Cases in which Dapr's driver does something else than it should, by name, each with what it does. */
  readonly excepted?: Readonly<Record<string, string>>;
}

const VALUES: Readonly<Record<string, unknown>> = {
  "an object": { person: { name: "Müller", id: 1036 }, "with space": [1, 2.5, null, true], empty: {} },
  "an array": [1, "two", { three: 3 }],
  "a string": 'quoted "text" with \\ and \n and ☕',
  "a number": 42.5,
  "a whole number": 20261123,
  "a boolean": false,
  "an empty string": "",
};

/** What a client sends over gRPC, or over HTTP with a content type of its own. */
const RAW: Readonly<Record<string, Uint8Array>> = {
  "plain text": utf8("just text, no JSON: é"),
  "JSON as bytes": utf8('{"b": 1,  "a": [1.50]}'),
  "bytes that are no text": Uint8Array.of(0, 255, 254, 1, 128, 10),
};

/** In a write's metadata: Dapr's driver gets what the JSON means, as from Dapr's HTTP API. */
const DECODED = { "test.decoded": "true" };
const OPEN_MS = 20_000;
const TTL_SEC = 120;
const TTL_SLACK_MS = 10_000;

interface Both {
  readonly ours: Store;
  readonly dapr: Store;
  key(name: string): string;
}

/** Registers the suite for one store. */
export function interchange(pair: Pair): void {
  const { subject } = pair;
  const skip = subject.skip ?? daprDriversMissing();
  if (skip !== null) {
    it.skip(`${subject.name} and Dapr's own driver (not run: ${skip})`);
    return;
  }
  describe(`${subject.name} and Dapr's own driver`, () => {
    let running: Running | null = null;
    let drivers: PluggableComponent | null = null;
    let stores: { ours: Store; dapr: Store } | null = null;
    const both = (): Both => {
      assert.ok(stores !== null, "the stores were not opened");
      const own = randomUUID();
      return { ...stores, key: (name) => subject.keyOf?.(own, name) ?? `interchange||${own}-${name}` };
    };

    before(async () => {
      running = await subject.start();
      drivers = await startDaprDrivers();
      const ours = await subject.driver
        .decode(running.properties, [])
        .open(openContext(AbortSignal.timeout(OPEN_MS), []));
      stores = { ours, dapr: ours };
      stores = { ours, dapr: await openDapr(pair, running, drivers.folder) };
    });
    after(async () => {
      await stores?.dapr.close();
      await stores?.ours.close();
      await drivers?.stop();
      await running?.stop();
    });

    for (const [name, run] of Object.entries(casesOf(subject))) {
      const why = pair.excepted?.[name] ?? (READ_ONLY.test(name) ? undefined : pair.daprWritesNothing);
      if (why === undefined) it(name, () => run(both()));
      else it.skip(`${name} (not run: ${why})`);
    }
  });
}

async function openDapr(
  { subject, dapr, differing = {}, saying = {} }: Pair,
  running: Running,
  folder: string,
): Promise<Store> {
  const same = Object.fromEntries(running.properties.map(({ name, value }) => [name, value] as const));
  const given = Object.entries({ ...same, ...differing, driver: dapr });
  const pairs = Object.fromEntries(given.filter((each): each is [string, string] => each[1] !== null));
  const prepared = pluggableDriver("state.dapr", folder).decode(properties(pairs), []);
  const context = openContext(AbortSignal.timeout(OPEN_MS), []);
  return saysAlways(await prepared.open({ ...context, component: subject.name }), saying);
}

function saysAlways(store: Store, saying: Metadata): Store {
  const said = <T extends { readonly metadata: Metadata }>(request: T): T => ({
    ...request,
    metadata: { ...request.metadata, ...saying },
  });
  const inTransaction = (change: Change): Change =>
    change.kind === "upsert"
      ? { kind: "upsert", write: said(change.write) }
      : { kind: "delete", removal: said(change.removal) };
  return {
    ...store,
    get: (key, read, each) => store.get(key, said(read), each),
    set: (each, by) => store.set(said(each), by),
    remove: (each, by) => store.remove(said(each), by),
    transact: async (changes, by) => store.transact?.(changes.map(inTransaction), by),
    ping: (by) => store.ping(by),
    close: () => store.close(),
  };
}

/** The cases in which Dapr's driver writes nothing. */
const READ_ONLY = /^(writes .* so that Dapr reads it|sets an expiry that Dapr tells)$/;

type Run = (both: Both) => Promise<void>;

function casesOf(subject: Subject): Readonly<Record<string, Run>> {
  const { features } = subject.declares;
  return {
    ...valueCases(),
    "deletes what the other has written": deletes,
    ...(features.etag ? etagCases() : {}),
    ...(features.ttl ? ttlCases() : {}),
    ...(features.transactions ? { "reads what the other's transaction left": transactions } : {}),
  };
}

function valueCases(): Record<string, Run> {
  const cases: Record<string, Run> = {};
  for (const [name, value] of Object.entries(VALUES)) {
    cases[`reads ${name} that Dapr has got over HTTP`] = async ({ ours, dapr, key }) => {
      await dapr.set(write(key("v"), json(value), { metadata: DECODED }), call());
      assert.deepEqual(parsed(await found(ours, key("v"))), value);
      const [many] = (await ours.getMany?.([key("v")], READ, call())) ?? [await found(ours, key("v"))];
      assert.ok(many !== null && many !== undefined && "bytes" in many);
      assert.deepEqual(parsed(many), value);
    };
    cases[`writes ${name} so that Dapr reads it`] = async ({ ours, dapr, key }) => {
      await ours.set(write(key("v"), json(value)), call());
      assert.deepEqual(parsed(await found(dapr, key("v"))), value);
    };
    cases[`writes ${name} over what Dapr has written`] = async ({ ours, dapr, key }) => {
      await dapr.set(write(key("w"), json({ old: true }), { metadata: DECODED }), call());
      await ours.set(write(key("w"), json(value)), call());
      assert.deepEqual(parsed(await found(dapr, key("w"))), value);
    };
  }
  for (const [name, bytes] of Object.entries(RAW)) {
    cases[`reads ${name} that Dapr has got over gRPC`] = async ({ ours, dapr, key }) => {
      await dapr.set(write(key("v"), bytes), call());
      assertSame(await found(ours, key("v")), bytes);
    };
    cases[`writes ${name} so that Dapr reads it`] = async ({ ours, dapr, key }) => {
      await ours.set(write(key("v"), bytes, { isJson: false }), call());
      assertSame(await found(dapr, key("v")), bytes);
    };
  }
  return cases;
}

async function deletes({ ours, dapr, key }: Both): Promise<void> {
  for (const [writer, deleter] of [
    [ours, dapr],
    [dapr, ours],
  ] as const) {
    await writer.set(write(key("d"), json(1), { metadata: writer === dapr ? DECODED : {} }), call());
    await deleter.remove(removal(key("d")), call());
    assert.equal(await ours.get(key("d"), READ, call()), null);
    assert.equal(await dapr.get(key("d"), READ, call()), null);
  }
}

function etagCases(): Record<string, Run> {
  return {
    "tells the ETag that Dapr tells": async ({ ours, dapr, key }) => {
      for (const writer of [ours, dapr]) {
        await writer.set(write(key("e"), json({ by: writer === ours ? 1 : 2 })), call());
        const [here, there] = [await found(ours, key("e")), await found(dapr, key("e"))];
        assert.ok(here.etag !== null && here.etag !== "");
        assert.equal(here.etag, there.etag);
      }
    },
    "takes the ETag that Dapr has told, once, and Dapr takes ours": async ({ ours, dapr, key }) => {
      for (const [reader, writer] of [
        [dapr, ours],
        [ours, dapr],
      ] as const) {
        await dapr.set(write(key("c"), json({ n: 1 })), call());
        const { etag } = await found(reader, key("c"));
        await writer.set(write(key("c"), json({ n: 2 }), { etag }), call());
        await rejectsWith(writer.set(write(key("c"), json({ n: 3 }), { etag }), call()), ["etag-mismatch"]);
        await rejectsWith(writer.remove(removal(key("c"), { etag }), call()), ["etag-mismatch"]);
        const now = await found(reader, key("c"));
        assert.deepEqual(parsed(now), { n: 2 });
        await writer.remove(removal(key("c"), { etag: now.etag }), call());
        assert.equal(await reader.get(key("c"), READ, call()), null);
      }
    },
    "refuses a first-write over what Dapr wrote": async ({ ours, dapr, key }) => {
      await dapr.set(write(key("f"), json({ n: 1 })), call());
      await rejectsWith(ours.set(write(key("f"), json({ n: 2 }), { firstWrite: true }), call()), ["etag-mismatch"]);
      assert.deepEqual(parsed(await found(dapr, key("f"))), { n: 1 });
    },
  };
}

function ttlCases(): Record<string, Run> {
  return {
    "tells the expiry that Dapr has set": ({ ours, dapr, key }) => expires(dapr, ours, key("t")),
    "sets an expiry that Dapr tells": ({ ours, dapr, key }) => expires(ours, dapr, key("t")),
    "takes away Dapr's expiry with a write that has none": async ({ ours, dapr, key }) => {
      await dapr.set(write(key("t"), json(1), { ttlSec: TTL_SEC }), call());
      await ours.set(write(key("t"), json(2)), call());
      assert.equal((await found(ours, key("t"))).expiresAtMs, null);
    },
  };
}

async function expires(writer: Store, reader: Store, key: string): Promise<void> {
  await writer.set(write(key, json(1), { ttlSec: TTL_SEC }), call());
  const { expiresAtMs } = await found(reader, key);
  assert.ok(expiresAtMs !== null, "no expiry is told");
  const left = expiresAtMs - Date.now();
  assert.ok(Math.abs(left - TTL_SEC * 1000) < TTL_SLACK_MS, `${left} ms are left of ${TTL_SEC} s`);
}

/** Dapr's driver reads what ours left; and the other way round, where Dapr's has transactions. */
async function transactions({ ours, dapr, key }: Both): Promise<void> {
  const ways = [{ writer: ours, reader: dapr }];
  if (dapr.features.transactions) ways.push({ writer: dapr, reader: ours });
  for (const { writer, reader } of ways) {
    assert.ok(writer.transact !== undefined);
    await writer.set(write(key("gone"), json(1)), call());
    const changes = [upsert(key("a"), json({ n: 1 })), upsert(key("b"), json({ n: 2 })), deletion(key("gone"))];
    await writer.transact(changes, call());
    assert.deepEqual(parsed(await found(reader, key("a"))), { n: 1 });
    assert.deepEqual(parsed(await found(reader, key("b"))), { n: 2 });
    assert.equal(await reader.get(key("gone"), READ, call()), null);
  }
}

async function found(store: Store, key: string): Promise<Found> {
  const row = await store.get(key, READ, call());
  assert.ok(row !== null, `no value under ${key}`);
  return row;
}

function parsed({ bytes }: Found): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}

/** Byte for byte, or equal as JSON where the layout parses it. */
function assertSame({ bytes }: Found, want: Uint8Array): void {
  if (Buffer.compare(bytes, want) === 0) return;
  assert.deepEqual(JSON.parse(Buffer.from(bytes).toString()), JSON.parse(Buffer.from(want).toString()));
}
