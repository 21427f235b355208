import assert from "node:assert/strict";
import { connect } from "#sidecar/stores/sqlite/connection.ts";
import { readConnectionString } from "#sidecar/stores/sqlite/connection-string.ts";
import { Fixture, threadSettings } from "./fixture.ts";

/** SQLite's numbers for PRAGMA synchronous (https://www.sqlite.org/pragma.html#pragma_synchronous). */
const NORMAL = 1;
const FULL = 2;

describe("connection to an SQLite file", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  const synchronousOf = (connectionString: string): unknown => {
    const { location } = readConnectionString(connectionString);
    assert.ok(location !== null);
    const { database } = connect({ ...threadSettings(fixture.path), location });
    try {
      return database.prepare("PRAGMA synchronous").get()?.synchronous;
    } finally {
      database.close();
    }
  };

  it("flushes every commit to the disk", () => {
    assert.equal(synchronousOf(fixture.path), FULL);
  });

  it("flushes less often when the connection string says so", () => {
    assert.equal(synchronousOf(`${fixture.path}?_pragma=synchronous(NORMAL)`), NORMAL);
  });
});
