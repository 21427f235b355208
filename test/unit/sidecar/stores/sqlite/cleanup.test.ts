import assert from "node:assert/strict";
import type { Order } from "#sidecar/stores/sqlite/messages.ts";
import { CLEANUP_ROWS_MAX } from "#sidecar/stores/sqlite/statements.ts";
import type { Change } from "#sidecar/stores/store.ts";
import { CALL, Fixture, watched, write } from "./fixture.ts";

const INTERVAL_MS = 50;
/** Within this much of the interval a cleanup still counts as due. */
const DAPRS_GRACE_MS = 100;

describe("cleanup of expired rows", () => {
  let fixture: Fixture;
  beforeEach(() => {
    fixture = new Fixture();
  });
  afterEach(() => fixture.close());

  const keys = (): unknown[] => fixture.rows("SELECT key FROM state ORDER BY key").map((row) => row.key);
  const lastCleanup = (): unknown =>
    fixture.rows("SELECT value FROM metadata WHERE key = 'last-cleanup'")[0]?.value ?? null;
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  it("is off by default", async () => {
    const store = await fixture.open();
    await store.set(write("k", "1", { ttlSec: 1 }), CALL);
    fixture.clock.timeMs += 60_000;
    const other = await fixture.open({ cleanupInterval: INTERVAL_MS, tableName: "other" });
    await other.ping(CALL);
    await until(() => lastCleanup() !== null);
    assert.deepEqual(keys(), ["k"]);
  });

  it("removes what has expired, in steps, and notes its time", async () => {
    const store = await fixture.open({ cleanupInterval: INTERVAL_MS });
    const expiring = Array.from({ length: CLEANUP_ROWS_MAX + 10 }, (_, i): Change => {
      return { kind: "upsert", write: write(`old${i}`, "1", { ttlSec: 1 }) };
    });
    await store.transact(expiring, CALL);
    await store.set(write("later", "1", { ttlSec: 3600 }), CALL);
    await store.set(write("forever", "1"), CALL);
    fixture.clock.timeMs += 60_000;
    await until(() => keys().length === 2);
    assert.deepEqual(keys(), ["forever", "later"]);
    assert.equal(lastCleanup(), "2030-01-01 00:01:00");
  });

  it("leaves the work to the sidecar that did it within the interval", async () => {
    const orders: Order[] = [];
    const store = await fixture.open({ cleanupInterval: 2 * DAPRS_GRACE_MS }, watched(orders));
    await until(() => lastCleanup() !== null);
    fixture.plain().exec("INSERT INTO state VALUES ('old', '1', 0, 'e', '2029-01-01 00:00:00', '')");
    const before = orders.length;
    await until(() => orders.length >= before + 2);
    await store.set(write("new", "1"), CALL);
    assert.deepEqual(keys(), ["new", "old"]);
    fixture.clock.timeMs += 1000;
    await until(() => keys().length === 1);
    assert.equal(lastCleanup(), "2030-01-01 00:00:01");
  });

  it("goes on after a turn that failed", async () => {
    const store = await fixture.open({ cleanupInterval: INTERVAL_MS, busyTimeout: 0 });
    const releaseAgain = await fixture.lockElsewhere();
    await until(() => {
      // A turn may have come before the lock: then the next one is due only when the interval is over.
      fixture.clock.timeMs += 60_000;
      return fixture.logged.join("").includes("cleanup of expired rows failed");
    });
    await releaseAgain();
    await store.set(write("k", "1", { ttlSec: 1 }), CALL);
    fixture.clock.timeMs += 60_000;
    await until(() => keys().length === 0);
  });
});
