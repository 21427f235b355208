// A store that is a sidecar, called over gRPC: each method of the driver contract is a call as an application makes it.
import {
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
import type { MessageType } from "#proto/wire.ts";
import {
  type Call,
  type Change,
  type Found,
  type KeyRange,
  type ListPage,
  type ListRequest,
  type Read,
  type Removal,
  type Store,
  StoreError,
  type Write,
} from "#sidecar/stores/store.ts";
import type { Failure, GrpcClient, Method } from "#test/wire/grpc-client.ts";
import { BULK_GET, DELETE, GET, SAVE, TRANSACT } from "#test/wire/grpc-methods.ts";
import { fromApiKey, toApiKey, toApiPrefix } from "./api-keys.ts";
import type { Described } from "./described.ts";
import { consistencyOf, operation, removalItem, toFound, writeItem } from "./grpc-messages.ts";
import { lostCall, type Refusal, toStoreError } from "./refusal.ts";

export function own<Q, A>(name: string, request: MessageType<Q>, response: MessageType<A>): Method<Q, A> {
  return { path: `/pannier.v1.State/${name}`, request, response };
}

export const DESCRIBE: Method<DescribeStoreRequest, DescribeStoreResponse> = own(
  "DescribeStore",
  DescribeStoreRequest,
  DescribeStoreResponse,
);
const LIST = own("ListKeys", ListKeysRequest, ListKeysResponse);
const COUNT = own("CountKeys", CountKeysRequest, CountKeysResponse);
const DELETE_BY_PREFIX = own("DeleteByPrefix", DeleteByPrefixRequest, DeleteByPrefixResponse);

export interface GrpcStoreParts {
  readonly client: GrpcClient;
  /** Name of the Component. */
  readonly name: string;
  readonly described: Described;
}

export class GrpcStore implements Store {
  readonly features: Store["features"];
  readonly limits: Store["limits"];
  readonly traits: Store["traits"];
  readonly capabilities: readonly string[];
  readonly defaultTtlSec: number | null;
  protected readonly storeName: string;
  readonly #client: GrpcClient;

  constructor({ client, name, described }: GrpcStoreParts) {
    const { features, limits, traits, capabilities, defaultTtlSec } = described;
    this.features = features;
    this.limits = limits;
    this.traits = traits;
    this.capabilities = capabilities;
    this.defaultTtlSec = defaultTtlSec;
    this.storeName = name;
    this.#client = client;
  }

  async get(key: string, { strong, metadata }: Read, call: Call): Promise<Found | null> {
    const { storeName } = this;
    const request = { storeName, key: toApiKey(key), consistency: consistencyOf(strong), metadata: { ...metadata } };
    return toFound(await this.ask(GET, request, "ERR_STATE_GET", call));
  }

  async set(write: Write, call: Call): Promise<void> {
    await this.ask(SAVE, { storeName: this.storeName, states: [writeItem(write)] }, "ERR_STATE_SAVE", call);
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    const { key, etag, options, metadata } = removalItem(removal);
    await this.ask(DELETE, { storeName: this.storeName, key, etag, options, metadata }, "ERR_STATE_DELETE", call);
  }

  async getMany(
    keys: readonly string[],
    { metadata }: Read,
    call: Call,
  ): Promise<readonly (Found | null | StoreError)[]> {
    const asked = keys.map(toApiKey);
    const request = { storeName: this.storeName, keys: asked, parallelism: 0, metadata: { ...metadata } };
    const { items } = await this.ask(BULK_GET, request, "ERR_STATE_BULK_GET", call);
    if (items.length !== keys.length) throw new Error(`${items.length} items for ${keys.length} keys`);
    return items.map((item, index) => {
      if (item.key !== asked[index]) throw new Error(`item ${index} is ${item.key}, asked was ${asked[index]}`);
      return item.error === "" ? toFound(item) : new StoreError("failed", item.error);
    });
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const request = { storeName: this.storeName, operations: changes.map(operation), metadata: {} };
    await this.ask(TRANSACT, request, "ERR_STATE_TRANSACTION", call);
  }

  async list({ range, after, limit, values }: ListRequest, call: Call): Promise<ListPage> {
    const request = { storeName: this.storeName, prefix: toApiPrefix(range), limit, token: after ?? "", values };
    const { items, token } = await this.ask(LIST, request, "ERR_STATE_LIST", call);
    return { rows: items.map((item) => toRow(item, values)), next: token === "" ? null : token };
  }

  async count(range: KeyRange, call: Call): Promise<number> {
    const request = { storeName: this.storeName, prefix: toApiPrefix(range) };
    return (await this.ask(COUNT, request, "ERR_STATE_COUNT", call)).count;
  }

  async removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    const request = { storeName: this.storeName, prefix: toApiPrefix(range), all: false, limit };
    const answer = await this.ask(DELETE_BY_PREFIX, request, "ERR_STATE_DELETE_BY_PREFIX", call);
    const { deleted, more } = answer;
    if (more && deleted < limit) throw new Error(`${deleted} of ${limit} deleted, and there are more`);
    return deleted;
  }

  async ping(call: Call): Promise<void> {
    await this.ask(DESCRIBE, { storeName: this.storeName }, "", call);
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  protected async ask<Q, A>(method: Method<Q, A>, request: Q, errorCode: string, { signal }: Call): Promise<A> {
    if (signal.aborted) throw lostCall(signal.reason, signal);
    const { answer, failure } = await this.#client.ask(method, request, { signal });
    if (answer !== null) return answer;
    if (failure === null) throw new Error(`${method.path}: neither an answer nor a failure`);
    if (failure.code === "Canceled" || failure.code === "Unavailable") throw lostCall(failure.message, signal);
    throw toStoreError(refusalOf(failure, errorCode), errorCode);
  }
}

function toRow(item: ListedKey, values: boolean): ListPage["rows"][number] {
  const found = toFound(item);
  if (item.error !== "") throw new StoreError("failed", item.error);
  if (values !== (found !== null))
    throw new Error(`values: ${values}, and ${item.key} came ${found ? "with" : "without"}`);
  return { key: fromApiKey(item.key), found };
}

/** The fault of a status code, wherever the API tells one. */
export function faultOf(code: Failure["code"]): Refusal["fault"] {
  if (code === "Aborted") return "conflict";
  return code === "InvalidArgument" ? "invalid" : "failed";
}

/** Where Dapr has a reason of its own, and the errorCode of the same error over HTTP (docs/errors.md). */
const OWN_REASONS: Readonly<Record<string, string>> = {
  DAPR_STATE_ILLEGAL_KEY: "ERR_MALFORMED_REQUEST",
  DAPR_STATE_TOO_MANY_TRANSACTIONS: "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
};

/** A failed bulk get has no details, as with Dapr: then it is the call's own error. */
function refusalOf({ code, message, details }: Failure, errorCode: string): Refusal {
  const reasons = details.flatMap((detail) => ("reason" in detail ? [String(detail.reason)] : []));
  const reason = reasons[0] ?? errorCode;
  return { fault: faultOf(code), errorCode: OWN_REASONS[reason] ?? reason, message, mayHaveHappened: false };
}
