import assert from "node:assert/strict";
import { resolve } from "node:path";
import { describeFault } from "#kit/fault.ts";
import { readConnectionString } from "#sidecar/stores/sqlite/connection-string.ts";
import { driver } from "#sidecar/stores/sqlite/sqlite.ts";
import type { PreparedStore } from "#sidecar/stores/store.ts";

function decode(fields: Record<string, string>): PreparedStore {
  const properties = Object.entries(fields).map(([name, value]) => ({ name, value, secret: false }));
  return driver.decode(properties, []);
}

function settingsOf(fields: Record<string, string>): Record<string, unknown> {
  const { fingerprint, faults } = decode(fields);
  assert.deepEqual(faults, []);
  return JSON.parse(fingerprint ?? "null") as Record<string, unknown>;
}

describe("fields of state.sqlite", () => {
  it("have Dapr's defaults", () => {
    assert.deepEqual(settingsOf({ connectionString: "data.db" }), {
      connectionString: "data.db",
      timeout: 20_000,
      busyTimeout: 2000,
      disableWAL: false,
      tableName: "state",
      metadataTableName: "metadata",
      cleanupInterval: 0,
    });
  });

  it("take Dapr's aliases, and bare numbers as seconds", () => {
    const settings = settingsOf({ url: "data.db", timeoutInSeconds: "30", cleanupIntervalInSeconds: "60" });
    assert.equal(settings.connectionString, "data.db");
    assert.equal(settings.timeout, 30_000);
    assert.equal(settings.cleanupInterval, 60_000);
  });

  it("take a busyTimeout and a cleanupInterval below zero as off", () => {
    const settings = settingsOf({ connectionString: "data.db", busyTimeout: "-1", cleanupInterval: "-1" });
    assert.equal(settings.busyTimeout, -1000);
    assert.equal(settings.cleanupInterval, -1000);
  });

  const refused: readonly (readonly [string, Record<string, string>, RegExp])[] = [
    ["no connection string", {}, /connectionString: .*required/],
    ["a connection string without a path", { connectionString: "file:?mode=ro" }, /the path of a database file/],
    ["a timeout below a second", { connectionString: "a.db", timeout: "500ms" }, /timeout: got "500ms"/],
    ["a table name with other characters", { connectionString: "a.db", tableName: "a-b" }, /letters, digits/],
    ["one table for both", { connectionString: "a.db", tableName: "Metadata" }, /another name than tableName/],
    ["an unknown mode", { connectionString: "a.db?mode=x" }, /mode=ro, rw, rwc or memory/],
    ["_pragma busy_timeout", { connectionString: "a.db?_pragma=busy_timeout(5)" }, /no _pragma busy_timeout/],
    ["_pragma journal_mode", { connectionString: "a.db?_pragma=journal_mode=WAL" }, /no _pragma journal_mode/],
    ["_pragma foreign_keys", { connectionString: "a.db?_pragma=Foreign_Keys(1)" }, /no _pragma foreign_keys/],
    ["a _pragma with SQL in it", { connectionString: "a.db?_pragma=x(1);drop" }, /name\(value\)/],
  ];
  for (const [what, fields, message] of refused) {
    it(`refuse ${what}`, () => {
      const { fingerprint, faults } = decode(fields);
      assert.equal(fingerprint, null);
      assert.match(faults.map(describeFault).join("\n"), message);
    });
  }

  it("warn of a busyTimeout that the timeout cuts off, and of parameters without effect", () => {
    const { fingerprint, faults } = decode({
      connectionString: "a.db?_txlock=deferred&_time_format=sqlite&cache=shared",
      timeout: "1s",
      busyTimeout: "1s",
    });
    assert.notEqual(fingerprint, null);
    assert.deepEqual(
      faults.map((fault) => [fault.severity, fault.got]),
      [
        ["warning", "_txlock"],
        ["warning", "_time_format"],
        ["warning", "cache"],
        ["warning", "1000ms"],
      ],
    );
  });
});

describe("connection string", () => {
  const read = (text: string) => readConnectionString(text).location;

  it("gets file: in front where it is absent, and an absolute path for messages", () => {
    const wanted = { uri: "file:data/a.db", path: resolve("data/a.db"), readOnly: false, pragmas: [] };
    assert.deepEqual(read("data/a.db"), wanted);
    assert.deepEqual(read("file:data/a.db"), wanted);
  });

  it("keeps SQLite's own parameters and takes out the others", () => {
    const location = read(
      "file:/data/a.db?mode=ro&_pragma=cache_size(-4000)&_pragma=synchronous=NORMAL&_txlock=immediate",
    );
    assert.deepEqual(location, {
      uri: "file:/data/a.db?mode=ro",
      path: "/data/a.db",
      readOnly: true,
      pragmas: ["cache_size=-4000", "synchronous=NORMAL"],
    });
  });

  it("knows the path that SQLite will open behind escapes and an empty host", () => {
    assert.equal(read("file:///data/my%20%C3%A9.db")?.path, "/data/my é.db");
    assert.equal(read("file://localhost/data/a.db#x?mode=ro")?.path, "/data/a.db");
    assert.equal(read("/data/100%.db")?.path, "/data/100%.db");
  });

  for (const text of [":memory:", "file::memory:?cache=shared", ":MEMORY:", "file:x?mode=memory"]) {
    it(`takes ${text} as a database in memory`, () => {
      assert.equal(read(text)?.uri, ":memory:");
      assert.equal(read(text)?.path, null);
    });
  }
});
