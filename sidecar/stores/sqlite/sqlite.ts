// state.sqlite: an SQLite file in Dapr's layout (dapr-state-stores.md 7). This file opens it: settings into threads.

import { assert } from "#kit/assert.ts";
import { type OpenContext, type StoreDriver, storeDriver } from "../store.ts";
import { type Location, readConnectionString } from "./connection-string.ts";
import { nameOf } from "./failures.ts";
import { checkSettings, fields, type SqliteSettings } from "./fields.ts";
import { Lane } from "./lane.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { type StartThread, startThread } from "./thread.ts";

export const driver: StoreDriver = storeDriver<SqliteSettings>({
  type: "state.sqlite",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check: checkSettings,
  open: (settings, context) => openSqlite(settings, context, startThread),
});

/**
 * Opens the database in its threads: one for writes and one for reads, so that a write that waits for another process's
 * lock does not hold up reads. A database in memory belongs to one connection and so has one thread for both.
 */
export async function openSqlite(
  settings: Readonly<SqliteSettings>,
  context: OpenContext,
  start: StartThread,
): Promise<SqliteStore> {
  const { location } = readConnectionString(settings.connectionString);
  assert(location !== null, "the connection string was checked with the fields");
  const laneFor = (readsOnly: boolean): Lane => newLane({ settings, location, readsOnly }, context, start);
  const writes = laneFor(false);
  const reads = location.path === null ? writes : laneFor(true);
  try {
    warnOfJournal(await writes.open(context.signal), settings, location, context);
    if (reads !== writes) await reads.open(context.signal);
  } catch (error) {
    const closing = Promise.all([reads.close(), writes.close()]);
    // When the time is up, a thread that waits for a lock would keep the caller beyond it; it ends by itself.
    if (!context.signal.aborted) await closing;
    throw error;
  }
  const cleanupIntervalMs = location.readOnly ? 0 : settings.cleanupInterval;
  return new SqliteStore({ reads, writes, context, cleanupIntervalMs, durable: location.path !== null });
}

interface LanePlan {
  readonly settings: Readonly<SqliteSettings>;
  readonly location: Location;
  readonly readsOnly: boolean;
}

function newLane({ settings, location, readsOnly }: LanePlan, context: OpenContext, start: StartThread): Lane {
  const threadSettings = {
    location,
    tables: { state: settings.tableName, metadata: settings.metadataTableName },
    busyTimeoutMs: Math.max(0, Math.trunc(settings.busyTimeout)),
    disableWal: settings.disableWAL,
    readsOnly,
  };
  return new Lane({
    start: () => start(threadSettings),
    clock: context.clock,
    log: context.log,
    timeoutMs: settings.timeout,
    database: nameOf(location),
  });
}

/** Some disks cannot hold a write-ahead log, and a file open elsewhere keeps its mode: it works, but reads may wait. */
function warnOfJournal(
  journalMode: string,
  settings: Readonly<SqliteSettings>,
  location: Location,
  context: OpenContext,
): void {
  if (location.path === null || location.readOnly) return;
  const wanted = settings.disableWAL ? "delete" : "wal";
  if (journalMode === wanted) return;
  context.log.warn("database keeps another journal mode", { database: location.path, wanted, kept: journalMode });
}
