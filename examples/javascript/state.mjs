// Dapr's state samples with its JavaScript SDK: `node state.mjs http` or `node state.mjs grpc`, beside a sidecar.
// Prints a line for each sample and ends with an error when an answer is not the one that the sample promises.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { CommunicationProtocolEnum, DaprClient, StateConcurrencyEnum, StateConsistencyEnum } from "@dapr/dapr";

const STORE = "statestore";
const protocol = process.argv[2] === "grpc" ? CommunicationProtocolEnum.GRPC : CommunicationProtocolEnum.HTTP;
// Host and port come from DAPR_HTTP_ENDPOINT and DAPR_GRPC_ENDPOINT, which `pannier run` sets.
const client = new DaprClient({ communicationProtocol: protocol, logger: { service: quiet() } });
const { state } = client;

/** The SDK logs what it does, refusals too; here they are expected. */
function quiet() {
  const ignore = () => undefined;
  return { error: ignore, warn: ignore, info: ignore, verbose: ignore, debug: ignore };
}

function say(sample, result) {
  console.log(`${sample}: ${result}`);
}

/** Over HTTP the SDK gives the error of a save or delete, over gRPC it throws it. */
async function done(call) {
  const { error } = (await call) ?? {};
  if (error !== undefined) throw error;
}

/** Resolves when the call was refused because of an ETag or of first-write. */
async function refused(call) {
  await assert.rejects(done(call), (error) => {
    assert.match(error.message, /etag/i);
    return true;
  });
}

/** In this SDK only the bulk read tells ETags. */
async function etagOf(key) {
  const [{ etag }] = await state.getBulk(STORE, [key]);
  return etag;
}

async function clear() {
  for (const key of ["order_1", "order_2", "order_3", "brief", "query_1", "query_2", "query_3"])
    await done(state.delete(STORE, key));
}

async function saveAndGet() {
  await done(state.save(STORE, [{ key: "order_1", value: { price: 250 } }]));
  assert.deepEqual(await state.get(STORE, "order_1"), { price: 250 });
  assert.equal(await state.get(STORE, "order_2"), "");
  say("save and get", "order_1 costs 250, order_2 is not there");
}

async function etags() {
  const first = await etagOf("order_1");
  await done(state.save(STORE, [{ key: "order_1", value: { price: 300 }, etag: first }]));
  assert.deepEqual(await state.get(STORE, "order_1"), { price: 300 });
  say("save with ETag", `order_1 was at ETag ${first} and costs 300 now`);

  await refused(state.save(STORE, [{ key: "order_1", value: { price: 1 }, etag: first }]));
  assert.deepEqual(await state.get(STORE, "order_1"), { price: 300 });
  say("ETag conflict", `a save with ETag ${first} is refused, order_1 still costs 300`);

  await refused(state.delete(STORE, "order_1", { etag: first }));
  await done(state.delete(STORE, "order_1", { etag: await etagOf("order_1") }));
  assert.equal(await state.get(STORE, "order_1"), "");
  say("delete with ETag", "refused with the old ETag, done with the new one");
}

async function options() {
  const create = { concurrency: StateConcurrencyEnum.CONCURRENCY_FIRST_WRITE };
  await done(state.save(STORE, [{ key: "order_1", value: "first", options: { ...create } }]));
  await refused(state.save(STORE, [{ key: "order_1", value: "second", options: { ...create } }]));
  assert.equal(await state.get(STORE, "order_1"), "first");
  say("first-write", "order_1 is written once, the second writer is refused");

  const strong = { consistency: StateConsistencyEnum.CONSISTENCY_STRONG };
  await done(state.save(STORE, [{ key: "order_1", value: "strong", options: { ...strong } }]));
  assert.equal(await state.get(STORE, "order_1", { ...strong }), "strong");
  say("strong consistency", "order_1 is saved and read with it");
}

async function bulk() {
  const items = [
    { key: "order_1", value: { price: 250 } },
    { key: "order_2", value: { price: 550 } },
  ];
  await done(state.save(STORE, items));
  const found = await state.getBulk(STORE, ["order_1", "order_2", "order_3"]);
  const prices = new Map(found.map(({ key, data }) => [key, data?.price]));
  assert.deepEqual([...prices.keys()].sort(), ["order_1", "order_2", "order_3"]);
  assert.deepEqual([prices.get("order_1"), prices.get("order_2"), prices.get("order_3")], [250, 550, undefined]);
  say("bulk save and get", "order_1 costs 250, order_2 costs 550, order_3 is not there");
}

async function transaction() {
  // Texts, because over gRPC the SDK takes nothing else in a transaction.
  await state.transaction(STORE, [
    { operation: "upsert", request: { key: "order_3", value: "shipped" } },
    { operation: "delete", request: { key: "order_2" } },
  ]);
  assert.equal(await state.get(STORE, "order_3"), "shipped");
  assert.equal(await state.get(STORE, "order_2"), "");
  say("transaction", "order_3 is written and order_2 deleted");

  const stale = await etagOf("order_3");
  await done(state.save(STORE, [{ key: "order_3", value: "lost" }]));
  await refused(
    state.transaction(STORE, [
      { operation: "upsert", request: { key: "order_2", value: "half" } },
      { operation: "upsert", request: { key: "order_3", value: "found", etag: stale } },
    ]),
  );
  assert.deepEqual([await state.get(STORE, "order_2"), await state.get(STORE, "order_3")], ["", "lost"]);
  say("transaction conflict", "one stale ETag, and nothing is written");
}

async function expiry() {
  await done(state.save(STORE, [{ key: "brief", value: "here", metadata: { ttlInSeconds: "3" } }]));
  assert.equal(await state.get(STORE, "brief"), "here");
  for (let tries = 0; tries < 100 && (await state.get(STORE, "brief")) !== ""; tries++) await sleep(100);
  assert.equal(await state.get(STORE, "brief"), "");
  say("TTL", "brief is gone after 3 seconds");
}

async function query() {
  const people = [
    { key: "query_1", value: { team: "samples", city: "Seattle", id: 1 } },
    { key: "query_2", value: { team: "samples", city: "Portland", id: 2 } },
    { key: "query_3", value: { team: "samples", city: "Seattle", id: 3 } },
  ];
  await done(state.save(STORE, people));
  const { results } = await state.query(STORE, {
    filter: { AND: [{ EQ: { team: "samples" } }, { EQ: { city: "Seattle" } }] },
    sort: [{ key: "id", order: "DESC" }],
    page: { limit: 10 },
  });
  // Over gRPC the SDK gives the bytes.
  const ids = results.map(({ data }) => (data instanceof Uint8Array ? JSON.parse(Buffer.from(data)) : data).id);
  assert.deepEqual(ids, [3, 1]);
  say("query", "3 and 1 live in Seattle");
}

async function metadata() {
  assert.equal(await client.metadata.set("sample", "javascript"), true);
  const { id, components, extended } = await client.metadata.get();
  assert.equal(extended.sample, "javascript");
  const store = components.find(({ name }) => name === STORE);
  for (const capability of ["ETAG", "TRANSACTIONAL", "TTL"]) assert.ok(store.capabilities.includes(capability));
  say("metadata", `${id} has ${store.name} of type ${store.type}`);
}

await clear();
for (const sample of [saveAndGet, etags, options, bulk, transaction, expiry, query, metadata]) await sample();
await clear();
await client.stop();
