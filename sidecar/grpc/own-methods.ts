// Pannier's own service over gRPC, pannier.v1.State: the same functions as its routes under /pannier/v1/state.
import {
  BulkDeleteRequest,
  BulkSaveRequest,
  BulkWriteResponse,
  CountKeysRequest,
  CountKeysResponse,
  DeleteByPrefixRequest,
  DeleteByPrefixResponse,
  DescribeStoreRequest,
  DescribeStoreResponse,
  type ListedKey,
  ListKeysRequest,
  ListKeysResponse,
} from "#proto/gen/pannier/v1/state.ts";
import { encodeMessage } from "#proto/wire.ts";
import type { About } from "../about.ts";
import { deleteByPrefix } from "../state/delete-by-prefix.ts";
import type { BulkItem, StateService } from "../state/service.ts";
import { countKeys, type KeyPage, LIST_LIMIT_DEFAULT, listKeys } from "../state/walk.ts";
import { bulkDelete, bulkSave } from "./bulk-writes.ts";
import { type GrpcCall, type Method, type UnaryParts, unary } from "./method.ts";
import { foundMetadata, tooLargeValue } from "./requests.ts";

export interface OwnMethodsOptions {
  readonly service: StateService;
  readonly about: About;
  /** Largest message each way; 0 for no limit. */
  readonly bodyBytesMax: number;
}

/** Full name of the service. */
export const OWN_SERVICE = "pannier.v1.State";
/** What a key, its ETag and its expiry take of an answer besides their own bytes, in bytes, at most. */
const ROW_BYTES = 96;

export function ownMethods(options: OwnMethodsOptions): readonly Method[] {
  const { service, about } = options;
  return [
    own("ListKeys", {
      request: ListKeysRequest,
      response: ListKeysResponse,
      handle: (request, call) => list(options, request, call),
    }),
    own("CountKeys", {
      request: CountKeysRequest,
      response: CountKeysResponse,
      handle: async ({ storeName, prefix }, call) => ({ count: await countKeys(service, storeName, prefix, call) }),
    }),
    own("DeleteByPrefix", {
      request: DeleteByPrefixRequest,
      response: DeleteByPrefixResponse,
      handle: ({ storeName, prefix, all, limit }, call) =>
        deleteByPrefix(service, storeName, { prefix, all, limit: orNull(limit) }, call),
    }),
    own("BulkDelete", {
      request: BulkDeleteRequest,
      response: BulkWriteResponse,
      keepsAnswer: true,
      handle: (request, call) => bulkDelete(options, request, call),
    }),
    own("BulkSave", {
      request: BulkSaveRequest,
      response: BulkWriteResponse,
      keepsAnswer: true,
      handle: (request, call) => bulkSave(options, request, call),
    }),
    own("DescribeStore", {
      request: DescribeStoreRequest,
      response: DescribeStoreResponse,
      handle: ({ storeName }) => describeStore(about, service, storeName),
    }),
  ];
}

function own<Q, A>(name: string, parts: Omit<UnaryParts<Q, A>, "path" | "api">): Method {
  return unary({ ...parts, path: `/${OWN_SERVICE}/${name}`, api: "pannier/v1" });
}

/** 0 stands for a limit that was not given. */
function orNull(limit: number): number | null {
  return limit === 0 ? null : limit;
}

/** A page that would not fit into an answer is asked for again with half the rows, down to one. */
async function list(options: OwnMethodsOptions, request: ListKeysRequest, call: GrpcCall): Promise<ListKeysResponse> {
  const { service, bodyBytesMax: bytesMax } = options;
  const { storeName, prefix, token, values } = request;
  let limit = orNull(request.limit);
  for (;;) {
    const page = await listKeys(service, storeName, { prefix, limit, token, values, bytesMax }, call);
    const rows = page.items.length;
    const answer: ListKeysResponse = { items: page.items.map(toListedKey), token: page.token ?? "" };
    if (bytesMax === 0 || bytesOf(page) <= bytesMax) return answer;
    if (rows <= 1) return withoutLarge(answer, bytesMax);
    limit = Math.floor(Math.min(rows, limit ?? LIST_LIMIT_DEFAULT) / 2);
  }
}

/** An answer of one row, without its value when that does not fit. */
function withoutLarge(answer: ListKeysResponse, bytesMax: number): ListKeysResponse {
  const [row] = answer.items;
  if (row?.data === undefined) return answer;
  const error = tooLargeValue(row.data, encodeMessage(ListKeysResponse, answer).length, bytesMax);
  return error === null ? answer : { ...answer, items: [{ ...row, data: undefined, error }] };
}

/** At most what the page takes of an answer. */
function bytesOf({ items, token }: KeyPage): number {
  const each = ({ key, found, error }: BulkItem): number =>
    ROW_BYTES +
    Buffer.byteLength(key) +
    (found?.bytes.length ?? 0) +
    (found?.etag ?? "").length * 3 +
    (error ?? "").length * 3;
  return items.reduce((sum, item) => sum + each(item), (token ?? "").length);
}

function toListedKey({ key, found, error }: BulkItem): ListedKey {
  return {
    key,
    data: found?.bytes,
    etag: found?.etag ?? "",
    error: error ?? "",
    metadata: found === null ? {} : foundMetadata(found),
  };
}

function describeStore(about: About, service: StateService, storeName: string): DescribeStoreResponse {
  const { name, type, version, features, limits, traits, defaultTtlSec } = about.store(service.find(storeName));
  return {
    name,
    type,
    version,
    features,
    limits: {
      valueBytesMax: limits.valueBytesMax ?? undefined,
      keyBytesMax: limits.keyBytesMax ?? undefined,
      operationsMax: limits.operationsMax ?? undefined,
      ttlSecondsMin: limits.ttlSecMin,
      requestBytesMax: limits.requestBytesMax ?? undefined,
    },
    traits,
    defaultTtlSeconds: defaultTtlSec ?? undefined,
  };
}
