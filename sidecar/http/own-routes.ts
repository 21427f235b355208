// Pannier's own routes over a store, which Dapr has no counterpart of: list, count and delete keys by prefix, and bulk
// writes that answer for each item (docs/own-api.md). What they do is decided in state/; here it becomes HTTP.
import { deleteEach, type ItemOutcome, saveEach } from "../state/bulk-write.ts";
import { deleteByPrefix } from "../state/delete-by-prefix.ts";
import type { StateService } from "../state/service.ts";
import type { StoreEntry } from "../state/table.ts";
import { countKeys, listKeys } from "../state/walk.ts";
import { writeItems } from "./bulk-answer.ts";
import { describeError, goJson, shortAnswer } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { withHeaderOptions, withIfMatch } from "./legacy.ts";
import { decodeBulkDelete, decodeDeleteByPrefix, flagParameter, numberParameter, textParameter } from "./own-body.ts";
import type { Router } from "./router.ts";
import type { Handler } from "./server.ts";
import { decodeSave } from "./state-body.ts";
import { withQueryMetadata } from "./url.ts";

/** The values of one page may have so many times the bytes that a request body may. */
const PAGE_BODIES_MAX = 16;
const JSON_TYPE = "application/json";

export interface OwnRoutesOptions {
  readonly service: StateService;
  /** 0 for no limit. */
  readonly bodyBytesMax: number;
}

type OwnHandler = (exchange: Exchange, options: OwnRoutesOptions) => Promise<void>;

export function addOwnRoutes(router: Router<Handler>, options: OwnRoutesOptions): void {
  const add = (method: "GET" | "POST", name: string, path: string, handler: OwnHandler): void => {
    const pattern = `/pannier/v1/state/{storeName}/${path}`;
    const own: Handler = (exchange) => handler(exchange, options);
    router.add([method], { name, pattern, api: "pannier/v1", handler: method === "POST" ? jsonOnly(own) : own });
  };
  add("GET", "PannierListKeys", "keys", list);
  add("GET", "PannierCountKeys", "count", count);
  add("POST", "PannierDeleteByPrefix", "delete-by-prefix", deletePrefix);
  add("POST", "PannierBulkDelete", "bulk-delete", bulkDelete);
  add("POST", "PannierBulkSave", "bulk-save", bulkSave);
}

/**
 * A page of another origin can send a POST without asking, but not with this type: a browser then asks first, and CORS is
 * off or names who may.
 */
function jsonOnly(handler: Handler): Handler {
  return (exchange) => {
    const type = exchange.request.headers["content-type"] ?? "";
    const [essence = ""] = type.split(";");
    if (essence.trim().toLowerCase() === JSON_TYPE) return handler(exchange);
    const text = `header Content-Type: got ${JSON.stringify(type.slice(0, 80))}, want "${JSON_TYPE}"`;
    const { status, body } = shortAnswer(415, "ERR_CONTENT_TYPE", text);
    return exchange.sendJson(status, body);
  };
}

async function list(exchange: Exchange, { service, bodyBytesMax }: OwnRoutesOptions): Promise<void> {
  const request = {
    prefix: textParameter(exchange, "prefix"),
    limit: numberParameter(exchange, "limit"),
    token: textParameter(exchange, "token"),
    values: flagParameter(exchange, "values"),
    bytesMax: bodyBytesMax * PAGE_BODIES_MAX,
  };
  const { items, token } = await listKeys(service, exchange.parameter(0), request, exchange);
  const end = token === null ? "]}" : `],"token":${goJson(token)}}`;
  await exchange.sendPieces(200, [Buffer.from('{"items":['), ...writeItems(items), Buffer.from(end)]);
}

async function count(exchange: Exchange, { service }: OwnRoutesOptions): Promise<void> {
  const prefix = textParameter(exchange, "prefix");
  exchange.sendJson(200, goJson({ count: await countKeys(service, exchange.parameter(0), prefix, exchange) }));
}

async function deletePrefix(exchange: Exchange, { service, bodyBytesMax }: OwnRoutesOptions): Promise<void> {
  const entry = service.find(exchange.parameter(0));
  const request = decodeDeleteByPrefix(await exchange.body(bodyBytesMax, ""));
  exchange.sendJson(200, goJson(await deleteByPrefix(service, entry.name, request, exchange)));
}

async function bulkDelete(exchange: Exchange, { service, bodyBytesMax }: OwnRoutesOptions): Promise<void> {
  const entry = service.find(exchange.parameter(0));
  const items = decodeBulkDelete(await exchange.body(bodyBytesMax, ""));
  const requests = withShared(items, exchange, entry);
  sendOutcomes(exchange, await deleteEach(service, entry.name, requests, exchange));
}

async function bulkSave(exchange: Exchange, { service, bodyBytesMax }: OwnRoutesOptions): Promise<void> {
  const entry = service.find(exchange.parameter(0));
  const items = decodeSave(await exchange.body(bodyBytesMax, ""));
  const requests = withShared(items, exchange, entry);
  sendOutcomes(exchange, await saveEach(service, entry.name, requests, exchange));
}

type Shareable = Pick<Parameters<typeof saveEach>[2][number], "etag" | "options" | "metadata">;

/** What headers and the URL say for all items, as with a save. */
function withShared<Item extends Shareable>(
  items: readonly Item[],
  { request: { headers }, query }: Exchange,
  { store }: StoreEntry,
): readonly Item[] {
  const shared = items.map((item) => ({
    ...item,
    options: withHeaderOptions(item.options, headers),
    metadata: withQueryMetadata(query, item.metadata),
  }));
  return withIfMatch(shared, headers, store.traits);
}

/** 200, whatever became of the items: each tells its own status, the one that it would have had alone. */
function sendOutcomes(exchange: Exchange, outcomes: readonly ItemOutcome[]): void {
  const results = outcomes.map(({ key, error, mayHaveHappened }) => {
    if (error === null) return { key, status: 204 };
    const { status, errorCode, message } = describeError(error);
    return { key, status, error: { errorCode, message, mayHaveHappened: mayHaveHappened || undefined } };
  });
  exchange.sendJson(200, goJson(results));
}
