// Between the driver contract and a component's messages: reads, writes, rows (dapr-state-api.md 10.3,
// dapr-state-stores.md 0.3). Sends nothing.
import type {
  BulkStateItem,
  DeleteRequest,
  Etag,
  GetRequest,
  GetResponse,
  QueryRequest,
  SetRequest,
  StateOptions,
  TransactionalStateOperation,
} from "#proto/gen/clients/dapr/proto/components/v1/state.ts";
import {
  Sorting_Order,
  StateOptions_StateConcurrency,
  StateOptions_StateConsistency,
} from "#proto/gen/clients/dapr/proto/components/v1/state.ts";
import type { Change, Found, Metadata, Read, Removal, StoreQuery, Write } from "../store.ts";

const TTL = "ttlInSeconds";
const CONTENT_TYPE = "contentType";
/** Of an answer: when the value expires, as RFC 3339. */
const EXPIRES = "ttlExpireTime";

export function getRequest(key: string, { strong, metadata }: Read): GetRequest {
  return { key, metadata: { ...metadata }, consistency: consistency(strong) };
}

export function setRequest(write: Write): SetRequest {
  const { key, bytes, etag, firstWrite, strong, ttlSec, metadata } = write;
  const { [TTL]: _, ...others } = metadata;
  return {
    key,
    value: asBuffer(bytes),
    etag: etagOrNone(etag),
    // As the core has read it: 0 and -1 mean no expiry here, and to a component anything.
    metadata: ttlSec === null ? others : { ...others, [TTL]: String(ttlSec) },
    options: options(firstWrite, strong),
    contentType: metadata[CONTENT_TYPE] ?? "",
  };
}

export function deleteRequest({ key, etag, firstWrite, strong, metadata }: Removal): DeleteRequest {
  return { key, etag: etagOrNone(etag), metadata: { ...metadata }, options: options(firstWrite, strong) };
}

export function operation(change: Change): TransactionalStateOperation {
  return change.kind === "upsert"
    ? { request: { $case: "set", set: setRequest(change.write) } }
    : { request: { $case: "delete", delete: deleteRequest(change.removal) } };
}

export function queryRequest({ filter, sort, limit, token }: StoreQuery): QueryRequest {
  const values = Object.entries(filter).map(
    ([word, json]) => [word, { typeUrl: "", value: Buffer.from(json) }] as const,
  );
  return {
    query: {
      filter: Object.fromEntries(values),
      sort: sort.map(({ path, descending }) => ({
        key: path,
        order: descending ? Sorting_Order.DESC : Sorting_Order.ASC,
      })),
      pagination: { limit, token },
    },
    metadata: {},
  };
}

/** Null when there is no value: a component has no other word for it than no data. */
export function foundIn(answer: Pick<GetResponse | BulkStateItem, "data" | "etag" | "metadata">): Found | null {
  const { data, etag, metadata } = answer;
  const told = etag === undefined || etag.value === "" ? null : etag.value;
  if (data.length === 0 && told === null) return null;
  return { bytes: data, etag: told, expiresAtMs: expiryIn(metadata) };
}

function expiryIn(metadata: Metadata): number | null {
  const atMs = Date.parse(metadata[EXPIRES] ?? "");
  return Number.isNaN(atMs) ? null : atMs;
}

function etagOrNone(etag: string | null): Etag | undefined {
  return etag === null ? undefined : { value: etag };
}

function options(firstWrite: boolean, strong: boolean): StateOptions {
  const { CONCURRENCY_FIRST_WRITE, CONCURRENCY_UNSPECIFIED } = StateOptions_StateConcurrency;
  return {
    // Never CONCURRENCY_LAST_WRITE: some of Dapr's drivers take that for leave to pass over the ETag, which alone decides.
    concurrency: firstWrite ? CONCURRENCY_FIRST_WRITE : CONCURRENCY_UNSPECIFIED,
    consistency: consistency(strong),
  };
}

function consistency(strong: boolean): StateOptions_StateConsistency {
  const { CONSISTENCY_STRONG, CONSISTENCY_EVENTUAL } = StateOptions_StateConsistency;
  return strong ? CONSISTENCY_STRONG : CONSISTENCY_EVENTUAL;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
