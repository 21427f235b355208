// The routes of the state API (dapr-state-api.md 1): what stands in the request becomes a call of the state service,
// what comes back becomes bytes and headers. No rule of the API is decided here.

import { StateError } from "../state/errors.ts";
import { type QueryAnswer, queryState as runQuery } from "../state/query/run.ts";
import type { SaveRequest } from "../state/requests.ts";
import type { StateService } from "../state/service.ts";
import { requireTransactions, transact } from "../state/transact.ts";
import { expireTimeText } from "../state/ttl.ts";
import { writeBulkItems } from "./bulk-answer.ts";
import { answerOf, shortAnswer } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import { etagFromHeader, readQueryRetry, withHeaderOptions, withIfMatch } from "./legacy.ts";
import { writeQueryAnswer } from "./query-answer.ts";
import type { Router } from "./router.ts";
import type { Handler } from "./server.ts";
import { type BodyOperation, decodeBulkGet, decodeSave, decodeTransaction } from "./state-body.ts";
import { withQueryMetadata } from "./url.ts";

const WRITES = ["POST", "PUT"] as const;
/** The values of one bulk get may have so many times the bytes that a request body may. */
const ANSWER_BODIES_MAX = 16;
const BODY_PREFIX = "failed deserializing HTTP body: ";

export interface StateRoutesOptions {
  readonly service: StateService;
  /** 0 for no limit. */
  readonly bodyBytesMax: number;
}

export function addStateRoutes(router: Router<Handler>, options: StateRoutesOptions): void {
  const one = "/v1.0/state/{storeName}/{key}";
  const store = "/v1.0/state/{storeName}";
  const api = "state/v1.0";
  router.add(["GET"], { name: "GetState", pattern: one, api, handler: (exchange) => getState(exchange, options) });
  router.add(["DELETE"], {
    name: "DeleteState",
    pattern: one,
    api,
    handler: (exchange) => deleteState(exchange, options),
  });
  router.add(WRITES, { name: "SaveState", pattern: store, api, handler: (exchange) => saveState(exchange, options) });
  router.add(WRITES, {
    name: "GetBulkState",
    pattern: `${store}/bulk`,
    api,
    handler: (exchange) => getBulkState(exchange, options),
  });
  router.add(WRITES, {
    name: "QueryStateAlpha1",
    pattern: "/v1.0-alpha1/state/{storeName}/query",
    api: "state/v1.0-alpha1",
    handler: (exchange) => queryState(exchange, options),
  });
  router.add(WRITES, {
    name: "ExecuteStateTransaction",
    pattern: `${store}/transaction`,
    api,
    handler: (exchange) => executeStateTransaction(exchange, options),
  });
}

async function getState(exchange: Exchange, { service }: StateRoutesOptions): Promise<void> {
  const { query, request } = exchange;
  const asked = { concurrency: "", consistency: query.get("consistency") ?? "" };
  const { consistency } = withHeaderOptions(asked, request.headers);
  const get = { key: exchange.parameter(1), consistency, metadata: withQueryMetadata(query) };
  const found = await service.get(exchange.parameter(0), get, exchange);
  if (found === null) return exchange.sendNothing();
  const headers = ["Content-Type", "application/json"];
  if (found.etag !== null && isHeaderText(found.etag)) headers.push("Etag", found.etag);
  // Go spells the header of the metadata entry `ttlExpireTime` so.
  if (found.expiresAtMs !== null) headers.push("Metadata.ttlexpiretime", expireTimeText(found.expiresAtMs));
  exchange.send(200, headers, found.bytes);
}

async function saveState(exchange: Exchange, { service, bodyBytesMax }: StateRoutesOptions): Promise<void> {
  const { request } = exchange;
  const entry = service.find(exchange.parameter(0));
  const items = decodeSave(await exchange.body(bodyBytesMax, ""));
  const requests = items.map((item) => ({
    ...item,
    options: withHeaderOptions(item.options, request.headers),
    metadata: withQueryMetadata(exchange.query, item.metadata),
  }));
  await service.save(entry.name, withIfMatch(requests, request.headers, entry.store.traits), exchange);
  exchange.sendNothing();
}

async function deleteState(exchange: Exchange, { service }: StateRoutesOptions): Promise<void> {
  const { query, request } = exchange;
  const entry = service.find(exchange.parameter(0));
  const asked = { concurrency: query.get("concurrency") ?? "", consistency: query.get("consistency") ?? "" };
  await service.delete(
    entry.name,
    {
      key: exchange.parameter(1),
      etag: etagFromHeader(request.headers["if-match"] ?? "", entry.store.traits.etagMayBeQuoted),
      options: withHeaderOptions(asked, request.headers),
      metadata: withQueryMetadata(query),
      retry: readQueryRetry(query),
    },
    exchange,
  );
  exchange.sendNothing();
}

async function getBulkState(exchange: Exchange, { service, bodyBytesMax }: StateRoutesOptions): Promise<void> {
  const entry = service.find(exchange.parameter(0));
  const body = decodeBulkGet(await exchange.body(bodyBytesMax, BODY_PREFIX));
  const metadata = withQueryMetadata(exchange.query, body.metadata);
  const request = {
    keys: body.keys,
    parallelism: body.parallelism,
    metadata,
    bytesMax: bodyBytesMax * ANSWER_BODIES_MAX,
  };
  const items = await service.bulkGet(entry.name, request, exchange);
  await exchange.sendPieces(200, writeBulkItems(items));
}

async function executeStateTransaction(
  exchange: Exchange,
  { service, bodyBytesMax }: StateRoutesOptions,
): Promise<void> {
  const entry = service.find(exchange.parameter(0));
  requireTransactions(entry);
  const body = decodeTransaction(await exchange.body(bodyBytesMax, BODY_PREFIX));
  const shared = withQueryMetadata(exchange.query, body.metadata);
  const operations = body.operations.map((operation) => withShared(operation, shared, exchange));
  await transact(service, entry.name, operations, exchange);
  exchange.sendNothing();
}

/** The transaction's own metadata holds for every operation that does not say otherwise; the URL's comes before all. */
function withShared(body: BodyOperation, shared: SaveRequest["metadata"], exchange: Exchange): BodyOperation {
  const request: SaveRequest = {
    ...body.request,
    options: withHeaderOptions(body.request.options, exchange.request.headers),
    metadata: withQueryMetadata(exchange.query, { ...shared, ...body.request.metadata }),
  };
  return { operation: body.operation, request };
}

/** Of all routes this one alone has a code for a body that cannot be read, and tells no app id (dapr-state-api.md 1.4). */
async function queryState(exchange: Exchange, { service, bodyBytesMax }: StateRoutesOptions): Promise<void> {
  let answer: QueryAnswer;
  try {
    const body = await exchange.body(bodyBytesMax, "failed to read request body: ");
    const request = { body, bytesMax: bodyBytesMax * ANSWER_BODIES_MAX };
    answer = await runQuery(service, exchange.parameter(0), request, exchange);
  } catch (error) {
    if (!(error instanceof StateError) || exchange.response.destroyed) throw error;
    const isUnread = error.code === "malformed";
    const { status, body } = isUnread ? shortAnswer(400, "ERR_BODY_READ", error.message) : answerOf(error, null);
    return exchange.sendJson(status, body);
  }
  if (answer.rows.length === 0) exchange.sendNothing();
  else await exchange.sendPieces(200, writeQueryAnswer(answer));
}

/** Whether a header can carry it: an ETag is what the store holds, and something else may have written the row. */
function isHeaderText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code === 0x7f || code > 0xff) return false;
  }
  return true;
}
