// The metadata fields of state.mongodb: what connection string they come to, and what is refused.
import assert from "node:assert/strict";
import { describeFault } from "#kit/fault.ts";
import { addressOf } from "#sidecar/stores/mongodb/address.ts";
import { fields, type MongodbSettings } from "#sidecar/stores/mongodb/fields.ts";
import { type Fields, prepare } from "./fixture.ts";

function faults(given: Fields): readonly string[] {
  return prepare(given).faults.map((fault) => `${fault.severity} ${describeFault(fault)}`);
}

function settings(given: Partial<MongodbSettings>): MongodbSettings {
  const defaults = Object.entries(fields).map(([name, field]) => [name, field.fallback]);
  return { ...Object.fromEntries(defaults), ...given };
}

const PAGE = "; see docs/stores/mongodb.md";

describe("the fields of state.mongodb", () => {
  it("come to a connection string, as Dapr makes it, and with every character of user and password", () => {
    const uri = (given: Partial<MongodbSettings>): string => addressOf(settings(given)).uri;
    assert.equal(uri({ host: "a:27017,b:27017" }), "mongodb://a:27017,b:27017/daprStore");
    assert.equal(
      uri({ host: "a", username: "us:er@", password: "p/%?#é", databaseName: "orders", params: "replicaSet=rs0" }),
      "mongodb://us%3Aer%40:p%2F%25%3F%23%C3%A9@a/orders?replicaSet=rs0",
    );
    assert.equal(
      uri({ server: "db.example.com", params: "?tls=true" }),
      "mongodb+srv://db.example.com/daprStore?tls=true",
    );
    assert.equal(
      uri({ host: "a", username: "cn", params: "?authMechanism=MONGODB-X509" }),
      "mongodb://cn@a/daprStore?authMechanism=MONGODB-X509",
    );
    assert.equal(uri({ connectionString: "mongodb://x/?a=1" }), "mongodb://x/?a=1");
  });

  it("sign nobody in who has no password and no other way to sign in, as Dapr does, and say so", () => {
    assert.equal(addressOf(settings({ host: "a", username: "app" })).uri, "mongodb://a/daprStore");
    assert.deepEqual(faults({ host: "a", username: "app" }), [
      `warning username: want a password beside it, or an authMechanism in params: without them nobody signs in${PAGE}`,
    ]);
    for (const params of ["authMechanism=MONGODB-X509", "?tls=true&authMechanism=MONGODB-X509"])
      assert.deepEqual(faults({ host: "a", username: "cn", params }), []);
  });

  it("give the client times, except those that the connection string names", () => {
    const given = addressOf(
      settings({ host: "a", operationTimeout: 2000, params: "?ServerSelectionTimeoutMS=9" }),
    ).options;
    assert.deepEqual(
      [given.serverSelectionTimeoutMS, given.connectTimeoutMS, given.waitQueueTimeoutMS, given.socketTimeoutMS],
      [undefined, 2000, 1800, 3000],
    );
    assert.equal(addressOf(settings({ host: "a", operationTimeout: 9000 })).options.serverSelectionTimeoutMS, 3000);
  });

  it("take all that Dapr takes", () => {
    const all = {
      host: "mongo:27017",
      username: "app",
      password: "x",
      databaseName: "d",
      collectionName: "c",
      writeConcern: "majority",
      readConcern: "linearizable",
      params: "?replicaSet=rs0",
      operationTimeout: "10s",
    };
    assert.deepEqual(faults(all), []);
    assert.deepEqual(faults({ writeconcern: "2", readconcern: "", server: "db.example.com" }), []);
    assert.deepEqual(faults({ connectionString: "mongodb+srv://app:x@db.example.com/?retryWrites=false" }), []);
  });

  const wrong: readonly (readonly [what: string, given: Fields, said: string])[] = [
    ["no server", {}, `error host: want a value: host, server or connectionString${PAGE}`],
    [
      "two kinds of servers",
      { host: "a", server: "b" },
      `error server: want nothing beside host: they are mutually exclusive${PAGE}`,
    ],
    [
      "a password without a user",
      { host: "a", password: "hunter2" },
      `error username: want a user beside password${PAGE}`,
    ],
    [
      "writes that nobody answers for",
      { host: "a", writeConcern: "0" },
      `error writeConcern: got "0", want "majority" or a number of servers from 1 to 99${PAGE}`,
    ],
    [
      "the same in the connection string",
      { connectionString: "mongodb://a/?w=0" },
      `error connectionString: want a write concern other than w=0: unanswered writes keep no promise${PAGE}`,
    ],
    [
      "an option that the client does not know",
      { host: "a", params: "?hunter=2" },
      `error params: want options that the client knows: option hunter is not supported, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "an option with a value that it cannot have",
      { host: "a", params: "?readPreference=hunter2" },
      `error params: want a value that the client takes for readPreference, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "several of them, and name no other",
      { host: "a", params: "?tls=hunter2&w=abc&maxPoolSize=-5" },
      `error params: want values that the client takes for tls and maxPoolSize, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "one that does not fit the others",
      { host: "a", params: "w=abc&tls=true&ssl=false" },
      `error params: want a value that the client takes for tls, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "one in a connection string",
      { connectionString: "mongodb://app:hunter2@a/?replicaSet=rs0&tls=hunter2" },
      `error connectionString: want a value that the client takes for tls, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "a password that looks like options",
      { connectionString: "mongodb://app:27017?tls=1&hunter2@a=1/" },
      `error connectionString: want options with values that the client takes, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "what is no connection string",
      { connectionString: "http://app:hunter2@a/" },
      `error connectionString: want a connection string of MongoDB, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
    [
      "a host with a path",
      { host: "a/b?c@d" },
      `error host: want a connection string of MongoDB, as "mongodb://user:password@host:27017/?replicaSet=rs0"${PAGE}`,
    ],
  ];
  for (const [what, given, said] of wrong)
    it(`refuse ${what}`, () => {
      assert.deepEqual(faults(given), [said]);
      assert.equal(faults(given).join().includes("hunter2"), false);
    });

  it("warn about what a connection string leaves without effect", () => {
    const given = { connectionString: "mongodb://a/", host: "b", password: "hunter2" };
    const want = "want nothing: connectionString has it all";
    assert.deepEqual(faults(given), [`warning host: ${want}${PAGE}`, `warning password: ${want}${PAGE}`]);
  });
});
