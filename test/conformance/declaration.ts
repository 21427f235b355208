// Conformance: what a store says about itself is what its runner file pins, and its members fit it.
import assert from "node:assert/strict";
import { type Case, type Chapter, caseFor } from "./case.ts";
import { mustFind } from "./checks.ts";
import { call, json, READ, write } from "./requests.ts";
import { canList, hasEtags, hasTransactions, hasTtl, not } from "./subject.ts";
import { isDriver } from "./surface.ts";

const cases: readonly Case[] = [
  caseFor(null, "declares exactly what its runner file pins", async ({ store, subject }) => {
    assert.deepEqual({ ...store.features }, { ...subject.declares.features });
    assert.deepEqual({ ...store.limits }, { ...subject.declares.limits });
    const { strongRead: _read, strongWrite: _write, ...traits } = store.traits;
    assert.deepEqual(traits, { ...subject.declares.traits });
  }),

  caseFor(null, "says in a sentence each what strong means", async ({ store }) => {
    assert.match(store.traits.strongRead, /\w+ \w+/);
    assert.match(store.traits.strongWrite, /\w+ \w+/);
  }),

  caseFor(null, "names Dapr's capabilities in accord with its features, and no actors", async ({ store }) => {
    assert.equal(store.capabilities.includes("ETAG"), store.features.etag);
    assert.equal(store.capabilities.includes("TRANSACTIONAL"), store.features.transactions);
    assert.equal(store.capabilities.includes("TTL"), store.features.ttl);
    assert.equal(store.capabilities.includes("ACTOR"), false);
    assert.equal(new Set(store.capabilities).size, store.capabilities.length);
  }),

  caseFor(null, "has limits that leave room to work", async ({ store }) => {
    const { valueBytesMax, keyBytesMax, operationsMax, ttlSecMin } = store.limits;
    for (const limit of [valueBytesMax, keyBytesMax, operationsMax]) assert.ok(limit === null || limit >= 1);
    assert.ok(Number.isInteger(ttlSecMin) && ttlSecMin >= 1);
    const ttlSec = store.defaultTtlSec;
    assert.ok(ttlSec === null || (store.features.ttl && Number.isInteger(ttlSec) && ttlSec >= 1));
  }),

  caseFor(isDriver, "decodes its own properties without a fault", async ({ subject, properties }) => {
    const prepared = subject.driver.decode(properties, []);
    assert.deepEqual(prepared.faults, []);
    assert.ok(prepared.fingerprint !== null);
  }),

  caseFor(isDriver, "has nothing of what its settings alone say that it lacks", async (context) => {
    const { subject, store, properties } = context;
    const lacks = subject.driver.decode(properties, []).foreseen?.lacks ?? [];
    assert.deepEqual(
      lacks.filter((feature) => store.features[feature]),
      [],
    );
  }),

  caseFor(
    isDriver,
    "has one fingerprint whatever order and case its properties come in",
    async ({ subject, properties }) => {
      const respelled = properties.map((each) => ({ ...each, name: each.name.toUpperCase() })).reverse();
      const { fingerprint } = subject.driver.decode(properties, []);
      assert.equal(subject.driver.decode(respelled, []).fingerprint, fingerprint);
    },
  ),

  caseFor(hasTransactions, "has transact, as it declares", async ({ store }) => {
    assert.equal(typeof store.transact, "function");
  }),

  caseFor(not(hasTransactions), "has no transact, as it declares none", async ({ store }) => {
    assert.equal(store.transact, undefined);
  }),

  caseFor(canList, "has list, as it declares", async ({ store }) => {
    assert.equal(typeof store.list, "function");
  }),

  caseFor(not(canList), "has nothing of a walk, as it declares none", async ({ store }) => {
    const { list, count, removeRange, removeListed } = store;
    assert.deepEqual([list, count, removeRange, removeListed], [undefined, undefined, undefined, undefined]);
  }),

  caseFor(not(hasEtags), "answers no ETag, as it declares none", async ({ store, key }) => {
    await store.set(write(key("plain"), json(1)), call());
    assert.equal((await mustFind(store, key("plain"))).etag, null);
    const [item] = (await store.getMany?.([key("plain")], READ, call())) ?? [];
    assert.ok(item === undefined || (item !== null && "etag" in item && item.etag === null));
  }),

  caseFor(not(hasTtl), "answers no expiry, as it declares none", async ({ store, key }) => {
    await store.set(write(key("plain"), json(1)), call());
    assert.equal((await mustFind(store, key("plain"))).expiresAtMs, null);
  }),
];

export const declaration: Chapter = { name: "declaration", cases };
