// A store that is a sidecar, called over HTTP: each method of the driver contract is a request as an application makes it.
// Bytes that are no JSON cannot stand in a JSON body, so another store over the same sidecar writes those.
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
import { fromApiKey, toApiKey, toApiPrefix } from "./api-keys.ts";
import type { Described } from "./described.ts";
import { type AnswerItem, listOf, readItems, transactionOf, writeItem } from "./http-body.ts";
import type { HttpAnswer, HttpClient } from "./http-client.ts";
import { expiresAtMs, type Refusal, toStoreError } from "./refusal.ts";

export interface HttpStoreParts {
  readonly client: HttpClient;
  /** Name of the Component. */
  readonly name: string;
  readonly described: Described;
  /** Writes bytes that are no JSON, to the same store of the same sidecar. */
  readonly raw: Pick<Store, "set" | "transact" | "close">;
}

/** A request, and what it is answered with when it is refused. */
interface Asked {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly errorCode: string;
}

const JSON_TYPE = { "content-type": "application/json" };

export class HttpStore implements Store {
  readonly features: Store["features"];
  readonly limits: Store["limits"];
  readonly traits: Store["traits"];
  readonly capabilities: readonly string[];
  readonly defaultTtlSec: number | null;
  protected readonly own: string;
  readonly #client: HttpClient;
  readonly #raw: HttpStoreParts["raw"];
  readonly #state: string;

  constructor({ client, name, described, raw }: HttpStoreParts) {
    const { features, limits, traits, capabilities, defaultTtlSec } = described;
    this.features = features;
    this.limits = limits;
    this.traits = traits;
    this.capabilities = capabilities;
    this.defaultTtlSec = defaultTtlSec;
    this.#client = client;
    this.#raw = raw;
    this.#state = `/v1.0/state/${name}`;
    this.own = `/pannier/v1/state/${name}`;
  }

  async get(key: string, { strong, metadata }: Read, call: Call): Promise<Found | null> {
    const path = this.#one(key, { consistency: strong ? "strong" : "", ...inQuery(metadata) });
    const { status, headers, body } = await this.ask({ method: "GET", path, errorCode: "ERR_STATE_GET" }, call);
    if (status === 204) return null;
    const told = headers["metadata.ttlexpiretime"];
    return { bytes: body, etag: headers.etag ?? null, expiresAtMs: expiresAtMs(told?.toString()) };
  }

  set(write: Write, call: Call): Promise<void> {
    return write.isJson ? this.save(write, call) : this.#raw.set(write, call);
  }

  protected async save(write: Write, call: Call): Promise<void> {
    const body = listOf([writeItem(write)]);
    await this.ask({ method: "POST", path: this.#state, body, errorCode: "ERR_STATE_SAVE" }, call);
  }

  async remove(removal: Removal, call: Call): Promise<void> {
    const { key, etag, firstWrite, strong, metadata } = removal;
    const options = { concurrency: firstWrite ? "first-write" : "", consistency: strong ? "strong" : "" };
    const path = this.#one(key, { ...options, ...inQuery(metadata) });
    const headers = etag === null ? {} : { "if-match": etag };
    await this.ask({ method: "DELETE", path, headers, errorCode: "ERR_STATE_DELETE" }, call);
  }

  async getMany(
    keys: readonly string[],
    { metadata }: Read,
    call: Call,
  ): Promise<readonly (Found | null | StoreError)[]> {
    const asked = keys.map(toApiKey);
    const body = Buffer.from(JSON.stringify({ keys: asked, metadata }));
    const path = `${this.#state}/bulk`;
    const answer = await this.ask({ method: "POST", path, body, errorCode: "ERR_STATE_BULK_GET" }, call);
    const items = readItems(answer.body);
    if (items.length !== keys.length) throw new Error(`${items.length} items for ${keys.length} keys`);
    return items.map((item, index) => {
      if (item.key !== asked[index]) throw new Error(`item ${index} is ${item.key}, asked was ${asked[index]}`);
      return item.error === null ? item.found : new StoreError("failed", item.error);
    });
  }

  async transact(changes: readonly Change[], call: Call): Promise<void> {
    const isJson = changes.every((change) => change.kind === "delete" || change.write.isJson);
    if (!isJson) return this.#raw.transact?.(changes, call);
    const path = `${this.#state}/transaction`;
    const body = transactionOf(changes);
    await this.ask({ method: "POST", path, body, errorCode: "ERR_STATE_TRANSACTION" }, call);
  }

  async list({ range, after, limit, values }: ListRequest, call: Call): Promise<ListPage> {
    const asked = {
      prefix: toApiPrefix(range),
      limit: String(limit),
      token: after ?? "",
      values: values ? "true" : "",
    };
    const path = `${this.own}/keys${query(asked)}`;
    const { body } = await this.ask({ method: "GET", path, errorCode: "ERR_STATE_LIST" }, call);
    const rows = readItems(body).map((item) => toRow(item, values));
    const { token } = JSON.parse(body.toString()) as { token?: string };
    return { rows, next: token ?? null };
  }

  async count(range: KeyRange, call: Call): Promise<number> {
    const path = `${this.own}/count${query({ prefix: toApiPrefix(range) })}`;
    const { body } = await this.ask({ method: "GET", path, errorCode: "ERR_STATE_COUNT" }, call);
    return (JSON.parse(body.toString()) as { count: number }).count;
  }

  async removeRange(range: KeyRange, limit: number, call: Call): Promise<number> {
    const asked = Buffer.from(JSON.stringify({ prefix: toApiPrefix(range), limit }));
    const { body } = await this.post("delete-by-prefix", asked, "ERR_STATE_DELETE_BY_PREFIX", call);
    const { deleted, more } = JSON.parse(body.toString()) as { deleted: number; more: boolean };
    if (more && deleted < limit) throw new Error(`${deleted} of ${limit} deleted, and there are more`);
    return deleted;
  }

  async ping(call: Call): Promise<void> {
    await this.ask({ method: "GET", path: this.own, errorCode: "" }, call);
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.#raw.close();
  }

  /** A request to one of Pannier's own writing routes. */
  protected post(route: string, body: Buffer, errorCode: string, call: Call): Promise<HttpAnswer> {
    return this.ask({ method: "POST", path: `${this.own}/${route}`, headers: JSON_TYPE, body, errorCode }, call);
  }

  protected async ask({ method, path, headers, body, errorCode }: Asked, { signal }: Call): Promise<HttpAnswer> {
    const ask = { signal, ...(headers && { headers }), ...(body && { body }) };
    const answer = await this.#client.ask(method, path, ask);
    if (answer.status === 204 && answer.body.length > 0) throw new Error(`${method} ${path}: 204 with a body`);
    if (answer.status === 200 || answer.status === 204) return answer;
    throw toStoreError(refusalOf(answer), errorCode);
  }

  #one(key: string, parameters: Readonly<Record<string, string>>): string {
    return `${this.#state}/${encodeURIComponent(toApiKey(key))}${query(parameters)}`;
  }
}

/** Query parameters; an empty one is left out. */
function query(parameters: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== "");
  const text = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("&");
  return text === "" ? "" : `?${text}`;
}

function inQuery(metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`metadata.${name}`, value]));
}

function toRow({ key, found, error }: AnswerItem, values: boolean): ListPage["rows"][number] {
  if (error !== null) throw new StoreError("failed", error);
  if (values !== (found !== null))
    throw new Error(`values=${values}, and ${key} came ${found ? "with" : "without"} one`);
  return { key: fromApiKey(key), found };
}

/** The fault of a status, wherever the API tells one. */
export function faultOf(status: number): Refusal["fault"] {
  if (status === 409) return "conflict";
  return status < 500 ? "invalid" : "failed";
}

function refusalOf({ status, headers, body }: HttpAnswer): Refusal {
  if (headers["content-type"] !== "application/json") throw new Error(`${status} of type ${headers["content-type"]}`);
  const { errorCode, message } = JSON.parse(body.toString()) as { errorCode: string; message: string };
  return { fault: faultOf(status), errorCode, message, mayHaveHappened: false };
}
