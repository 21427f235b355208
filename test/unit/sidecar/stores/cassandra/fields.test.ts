// What a manifest of state.cassandra may say, and what it is told about the rest.
import assert from "node:assert/strict";
import type { Fault } from "#kit/fault.ts";
import { LEVEL_NAMES } from "#sidecar/stores/cassandra/fields.ts";
import { parseHosts } from "#sidecar/stores/cassandra/hosts.ts";
import { Levels } from "#sidecar/stores/cassandra/levels.ts";
import { nameOf } from "#sidecar/stores/cassandra/statements.ts";
import { KEY, OTHER_KEY, PEM } from "#test/stores/pem.ts";
import { prepare } from "./fixture.ts";

function faultsOf(given: Readonly<Record<string, string>>): readonly Fault[] {
  return prepare({ hosts: "cassandra", ...given }).faults;
}

const severities = (given: Readonly<Record<string, string>>): readonly string[] =>
  faultsOf(given).map(({ severity, field }) => `${severity} ${field}`);

describe("the fields of state.cassandra", () => {
  it("are all that Dapr has, with its defaults", () => {
    const defaults = {
      port: "9042",
      protoVersion: "4",
      replicationFactor: "1",
      consistency: "All",
      table: "items",
      keyspace: "dapr",
      enableHostVerification: "false",
      username: "",
      password: "",
    };
    const given = prepare({ hosts: "cassandra", ...defaults });
    assert.deepEqual(given.faults, []);
    assert.equal(given.fingerprint, prepare({ hosts: "cassandra" }).fingerprint);
  });

  it("want hosts", () => {
    assert.deepEqual(
      prepare({}).faults.map(({ severity, field }) => [severity, field]),
      [["error", "hosts"]],
    );
  });

  it("take Dapr's nine consistencies by their exact names", () => {
    for (const consistency of LEVEL_NAMES) assert.deepEqual(faultsOf({ consistency }), [], consistency);
    assert.equal(LEVEL_NAMES.length, 9);
    assert.deepEqual(severities({ consistency: "quorum" }), ["error consistency"]);
    assert.deepEqual(severities({ consistency: "Serial" }), ["error consistency"]);
  });

  it("say so when a user has no password, and sign in without both as Dapr does", () => {
    assert.deepEqual(severities({ username: "app" }), ["warning username"]);
    assert.deepEqual(severities({ password: "s3cr3t" }), ["warning username"]);
    assert.deepEqual(severities({ username: "app", password: "s3cr3t" }), []);
  });

  it("take no authority and no certificate without TLS, which would not be used", () => {
    assert.deepEqual(severities({ ca: "x" }), ["error ca"]);
    assert.deepEqual(severities({ cert: "x", key: "y" }), ["error cert"]);
    assert.deepEqual(severities({ ca: PEM, cert: PEM, key: KEY, enableHostVerification: "true" }), []);
    assert.deepEqual(severities({ cert: PEM, key: OTHER_KEY, enableHostVerification: "true" }), ["error cert"]);
    assert.deepEqual(severities({ cert: PEM, enableHostVerification: "true" }), ["error cert"]);
    const unread = { ca: "x", cert: "x", key: "y", enableHostVerification: "true" };
    assert.deepEqual(severities(unread), ["error ca", "error cert", "error key"]);
  });

  it("show no password that stands in a host", () => {
    const [fault] = faultsOf({ hosts: "app:s3cr3t@cassandra" });
    assert.deepEqual([fault?.severity, fault?.field, fault?.got], ["error", "hosts", null]);
  });

  for (const name of ["items; DROP TABLE x", "1st", "a-b", "", '"a', "x".repeat(49), 'a"b'])
    it(`take no name that is none: ${name.slice(0, 20)}`, () => {
      assert.deepEqual(severities({ table: name, keyspace: name }), ["error table", "error keyspace"]);
    });

  it("mean by a bare name what CQL means, and by a quoted one what is in the quotes", () => {
    assert.deepEqual(severities({ table: '"Items"', keyspace: "MyApp_1" }), []);
    assert.deepEqual(['"Items"', "MyApp_1"].map(nameOf), ["Items", "myapp_1"]);
  });
});

describe("hosts of state.cassandra", () => {
  it("are names and addresses, each with the port or one of its own", () => {
    assert.deepEqual(parseHosts("a.b, c:1,[::1],[::1]:2", 9042), [
      { host: "a.b", name: "a.b:9042" },
      { host: "c", name: "c:1" },
      { host: "::1", name: "[::1]:9042" },
      { host: "::1", name: "[::1]:2" },
    ]);
  });

  for (const text of ["", "a,,b", "a:0", "a:65536", "a b", "[nonsense]", "http://a", Array(65).fill("a").join()])
    it(`are not: ${text.slice(0, 20)}`, () => assert.ok("want" in parseHosts(text, 9042)));
});

describe("levels of state.cassandra", () => {
  const [one, quorum, all, serial, any] = [1, 4, 5, 8, 0];

  it("are the Component's, and Dapr's for strong calls", () => {
    const levels = new Levels("LocalOne", false);
    assert.deepEqual([levels.read(false), levels.write(false)], [10, 10]);
    assert.deepEqual([levels.read(true), levels.write(true)], [all, quorum]);
  });

  it("read what lightweight transactions wrote with one of their own", () => {
    const levels = new Levels("Quorum", true);
    assert.deepEqual([levels.read(false), levels.read(true)], [quorum, serial]);
    assert.deepEqual([levels.write(false), levels.write(true)], [quorum, quorum]);
  });

  it("read at One where writes are at Any, which reads cannot be", () => {
    const levels = new Levels("Any", false);
    assert.deepEqual([levels.read(false), levels.write(false)], [one, any]);
  });
});
