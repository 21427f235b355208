// Messages of the gRPC API, both ways: what a driver is given as what a client sends, and what comes back as rows.
import type { StateItem, StateOptions } from "#proto/gen/dapr/proto/common/v1/common.ts";
import type { TransactionalStateOperation } from "#proto/gen/dapr/proto/runtime/v1/state.ts";
import type { Change, Found, Removal, Write } from "#sidecar/stores/store.ts";
import { toApiKey } from "./api-keys.ts";
import { expiresAtMs } from "./refusal.ts";

/** Numbers of the two enums. */
const FIRST_WRITE = 1;
const STRONG = 2;

/** An item of a save. `contentType` says what a value is; without one it is raw bytes. */
export function writeItem(write: Write): StateItem {
  const { isJson, ttlSec, bytes } = write;
  const metadata: Record<string, string> = { ...write.metadata };
  if (isJson) metadata.contentType = "application/json";
  else delete metadata.contentType;
  if (ttlSec !== null) metadata.ttlInSeconds = String(ttlSec);
  return { ...removalItem(write), value: bytes, metadata };
}

/** An item of a bulk delete, and what a delete has. */
export function removalItem({ key, etag, firstWrite, strong, metadata }: Removal): StateItem {
  return {
    key: toApiKey(key),
    value: new Uint8Array(0),
    etag: etag === null ? undefined : { value: etag },
    options: optionsOf(firstWrite, strong),
    metadata: { ...metadata },
  };
}

function optionsOf(firstWrite: boolean, strong: boolean): StateOptions | undefined {
  if (!firstWrite && !strong) return undefined;
  return { concurrency: firstWrite ? FIRST_WRITE : 0, consistency: consistencyOf(strong) };
}

export function consistencyOf(strong: boolean): 0 | 2 {
  return strong ? STRONG : 0;
}

export function operation(change: Change): TransactionalStateOperation {
  const request = change.kind === "upsert" ? writeItem(change.write) : removalItem(change.removal);
  return { operationType: change.kind, request };
}

export interface AnswerRow {
  readonly data?: Uint8Array | undefined;
  readonly etag: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Null where there is no ETag, which is where there is no value. */
export function toFound({ data, etag, metadata }: AnswerRow): Found | null {
  if (etag === "") return null;
  return { bytes: data ?? new Uint8Array(0), etag, expiresAtMs: expiresAtMs(metadata.ttlExpireTime) };
}
