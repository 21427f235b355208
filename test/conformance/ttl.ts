// Conformance: expiry. It is set in the same step as the value, told on every read, cleared by a write without one, and
// never early (dapr-state-stores.md 18.3 step 14 and 18.9). Real clock, short times, polling with a deadline.
import assert from "node:assert/strict";
import { type Case, type Chapter, type Context, caseFor, waitingCaseFor } from "./case.ts";
import {
  etagOf,
  eventually,
  expectMissing,
  expectUntouched,
  expectValue,
  getMany,
  mustFind,
  pause,
  rejectsWith,
} from "./checks.ts";
import { call, json, READ, removal, write } from "./requests.ts";
import { all, hasEtags, hasTtl, type Subject } from "./subject.ts";
import { surfaceOf } from "./surface.ts";

const HOUR_SEC = 3600;
const LARGEST_SEC = 2_147_483_647;
/** For a server's clock beside ours, and for a reported time that is rounded. */
const CLOCKS_APART_MS = 1000;

/** The shortest expiry that a store keeps. */
export function shortTtlSec({ declares }: Subject): number {
  return declares.limits.ttlSecMin;
}

/** Short, and long enough to read the value once more before it goes, also on a busy machine. */
export function readableTtlSec(subject: Subject): number {
  return shortTtlSec(subject) + 4;
}

/** How long to wait for a value to go before the case fails. */
export function expiryDeadlineMs({ subject, patienceMs }: Context, ttlSec: number): number {
  return ttlSec * 1000 + subject.declares.traits.ttlStepMs + patienceMs;
}

/** The largest that the API takes, or that ends a minute before the layout does. */
function largestTtlSec({ expiresAtMsMax = Number.POSITIVE_INFINITY }: Subject): number {
  return Math.min(LARGEST_SEC, Math.floor((expiresAtMsMax - Date.now()) / 1000) - 60);
}

/** Longer than a value of this expiry may live. */
function outliveMs({ declares }: Subject, ttlSec: number): number {
  return ttlSec * 1000 + declares.traits.ttlStepMs + CLOCKS_APART_MS / 4;
}

interface Moment {
  /** When the write began and when it was acknowledged. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Writes with an expiry and gives when that was. */
async function setWithTtl({ store }: Context, key: string, ttlSec: number): Promise<Moment> {
  const fromMs = Date.now();
  await store.set(write(key, json("expires"), { ttlSec }), call());
  return { fromMs, toMs: Date.now() };
}

/** The reported time lies where the write and the declared step put it. */
function assertExpiry(context: Context, expiresAtMs: number | null, ttlSec: number, moment: Moment): void {
  assert.ok(expiresAtMs !== null, "the value reports no expiry");
  const { ttlStepMs } = context.subject.declares.traits;
  const { toldExpiryStepMs } = surfaceOf(context.subject);
  const earliest = moment.fromMs + ttlSec * 1000 - CLOCKS_APART_MS - toldExpiryStepMs;
  const latest = moment.toMs + ttlSec * 1000 + ttlStepMs + CLOCKS_APART_MS;
  assert.ok(expiresAtMs >= earliest && expiresAtMs <= latest, `expires at ${expiresAtMs}, want ${earliest}..${latest}`);
}

/** Resolves when the value is gone; fails when it goes before its time or not at all. */
async function expires(context: Context, key: string, ttlSec: number, moment: Moment): Promise<void> {
  const { store } = context;
  const isGone = async (): Promise<boolean> => (await store.get(key, READ, call())) === null;
  await eventually(`${key} expires`, expiryDeadlineMs(context, ttlSec), isGone);
  const livedMs = Date.now() - moment.fromMs;
  assert.ok(livedMs >= ttlSec * 1000, `expired after ${livedMs}ms of ${ttlSec}s`);
}

const ttlCase = (name: string, run: Case["run"]): Case => caseFor(hasTtl, name, run);
const waitingCase = (name: string, run: Case["run"]): Case => waitingCaseFor(hasTtl, name, run);

const cases: readonly Case[] = [
  ttlCase("reports no expiry for a value that has none", async ({ store, key }) => {
    await store.set(write(key("value"), json(1)), call());
    assert.equal((await mustFind(store, key("value"))).expiresAtMs, null);
    assert.equal((await getMany(store, [key("value")]))[0]?.expiresAtMs, null);
  }),

  ttlCase("reports the expiry of a value, one by one and in bulk", async (context) => {
    const { store, key } = context;
    const moment = await setWithTtl(context, key("value"), HOUR_SEC);
    assertExpiry(context, (await mustFind(store, key("value"))).expiresAtMs, HOUR_SEC, moment);
    const [item] = await getMany(store, [key("value")]);
    assertExpiry(context, item?.expiresAtMs ?? null, HOUR_SEC, moment);
  }),

  ttlCase("takes the largest expiry", async (context) => {
    const largestSec = largestTtlSec(context.subject);
    const moment = await setWithTtl(context, context.key("value"), largestSec);
    assertExpiry(context, (await mustFind(context.store, context.key("value"))).expiresAtMs, largestSec, moment);
  }),

  ttlCase("replaces the expiry with every write that has one", async (context) => {
    const { store, key } = context;
    await setWithTtl(context, key("value"), HOUR_SEC);
    const moment = await setWithTtl(context, key("value"), 2 * HOUR_SEC);
    assertExpiry(context, (await mustFind(store, key("value"))).expiresAtMs, 2 * HOUR_SEC, moment);
  }),

  ttlCase("clears the expiry with a write that has none", async (context) => {
    const { store, key } = context;
    await setWithTtl(context, key("value"), HOUR_SEC);
    await store.set(write(key("value"), json("stays")), call());
    assert.equal((await mustFind(store, key("value"))).expiresAtMs, null);
  }),

  ttlCase("gives a value that was deleted and written again no expiry", async (context) => {
    const { store, key } = context;
    await setWithTtl(context, key("value"), HOUR_SEC);
    await store.remove(removal(key("value")), call());
    await store.set(write(key("value"), json("new")), call());
    assert.equal((await mustFind(store, key("value"))).expiresAtMs, null);
  }),

  caseFor(all(hasTtl, hasEtags), "sets the expiry with a conditional write and with a first-write", async (context) => {
    const { store, key } = context;
    const ttlSec = HOUR_SEC;
    const fromMs = Date.now();
    await store.set(write(key("first"), json(1), { firstWrite: true, ttlSec }), call());
    await store.set(write(key("value"), json(1)), call());
    await store.set(write(key("value"), json(2), { etag: await etagOf(store, key("value")), ttlSec }), call());
    const moment = { fromMs, toMs: Date.now() };
    assertExpiry(context, (await mustFind(store, key("first"))).expiresAtMs, ttlSec, moment);
    assertExpiry(context, (await mustFind(store, key("value"))).expiresAtMs, ttlSec, moment);
  }),

  caseFor(all(hasTtl, hasEtags), "leaves the expiry alone when a write is refused", async (context) => {
    const { store, key } = context;
    await store.set(write(key("value"), json(1)), call());
    const stale = await etagOf(store, key("value"));
    await setWithTtl(context, key("value"), HOUR_SEC);
    const before = await mustFind(store, key("value"));
    const refused = write(key("value"), json(2), { etag: stale });
    await rejectsWith(store.set(refused, call()), ["etag-mismatch"]);
    await expectUntouched(store, key("value"), before);
    const first = write(key("value"), json(2), { firstWrite: true, ttlSec: shortTtlSec(context.subject) });
    await rejectsWith(store.set(first, call()), ["etag-mismatch"]);
    await expectUntouched(store, key("value"), before);
  }),

  waitingCase("lets a value go when its time is over, and not before", async (context) => {
    const { store, key, subject } = context;
    const ttlSec = shortTtlSec(subject);
    await store.set(write(key("neighbour"), json("stays")), call());
    const moment = await setWithTtl(context, key("value"), ttlSec);
    await expires(context, key("value"), ttlSec, moment);
    await expectValue(store, key("neighbour"), json("stays"));
  }),

  waitingCase("answers nothing for an expired value in bulk", async (context) => {
    const { store, key, subject } = context;
    const ttlSec = shortTtlSec(subject);
    await store.set(write(key("stays"), json("stays")), call());
    await setWithTtl(context, key("goes"), ttlSec);
    await eventually("the value goes from getMany", expiryDeadlineMs(context, ttlSec), async () => {
      const [goes, stays] = await getMany(store, [key("goes"), key("stays")]);
      assert.ok(stays !== null && stays !== undefined, "the neighbour is gone");
      return goes === null;
    });
  }),

  waitingCase("keeps a value whose expiry a later write cleared", async (context) => {
    const { store, key, subject } = context;
    const ttlSec = shortTtlSec(subject);
    await setWithTtl(context, key("value"), ttlSec);
    await store.set(write(key("value"), json("stays")), call());
    await pause(outliveMs(subject, ttlSec));
    await expectValue(store, key("value"), json("stays"));
  }),

  waitingCase("keeps a value whose expiry a later write moved back", async (context) => {
    const { store, key, subject } = context;
    const ttlSec = shortTtlSec(subject);
    await setWithTtl(context, key("value"), ttlSec);
    await setWithTtl(context, key("value"), HOUR_SEC);
    await pause(outliveMs(subject, ttlSec));
    await expectValue(store, key("value"), json("expires"));
  }),

  waitingCase("lets a value go earlier when a later write says so", async (context) => {
    const ttlSec = shortTtlSec(context.subject);
    await setWithTtl(context, context.key("value"), HOUR_SEC);
    const moment = await setWithTtl(context, context.key("value"), ttlSec);
    await expires(context, context.key("value"), ttlSec, moment);
  }),

  waitingCaseFor(all(hasTtl, hasEtags), "counts an expired value as missing for its own ETag", async (context) => {
    const { store, key, subject } = context;
    const ttlSec = readableTtlSec(subject);
    const moment = await setWithTtl(context, key("value"), ttlSec);
    const etag = await etagOf(store, key("value"));
    await expires(context, key("value"), ttlSec, moment);
    await rejectsWith(store.set(write(key("value"), json(2), { etag }), call()), ["etag-mismatch"]);
    await rejectsWith(store.remove(removal(key("value"), { etag }), call()), ["etag-mismatch"]);
    await store.remove(removal(key("value")), call());
    await expectMissing(store, key("value"));
  }),
];

export const ttl: Chapter = { name: "expiry", cases };
