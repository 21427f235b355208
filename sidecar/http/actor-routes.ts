// The routes of actor state (dapr-state-api.md 4.1). Which store, which keys and who may: state/actors.ts decides.
import type { ActorStates } from "../state/actors.ts";
import { expireTimeText } from "../state/ttl.ts";
import type { Exchange } from "./exchange.ts";
import type { Router } from "./router.ts";
import type { Handler } from "./server.ts";
import { decodeActorTransaction } from "./state-body.ts";

export interface ActorRoutesOptions {
  readonly actors: ActorStates;
  /** 0 for no limit. */
  readonly bodyBytesMax: number;
}

const STATE = "/v1.0/actors/{actorType}/{actorId}/state";
const BODY_PREFIX = "failed deserializing HTTP body: ";

export function addActorRoutes(router: Router<Handler>, options: ActorRoutesOptions): void {
  const api = "actors/v1.0";
  router.add(["GET"], {
    name: "GetActorState",
    pattern: `${STATE}/{key}`,
    api,
    handler: (exchange) => getActorState(exchange, options),
  });
  router.add(["POST", "PUT"], {
    name: "ExecuteActorStateTransaction",
    pattern: STATE,
    api,
    handler: (exchange) => transactActorState(exchange, options),
  });
}

function addressOf(exchange: Exchange): { readonly actorType: string; readonly actorId: string } {
  return { actorType: exchange.parameter(0), actorId: exchange.parameter(1) };
}

/** Without an ETag, as Dapr's; a value without a byte counts as none. */
async function getActorState(exchange: Exchange, { actors }: ActorRoutesOptions): Promise<void> {
  const found = await actors.get(addressOf(exchange), exchange.parameter(2), exchange);
  if (found === null || found.bytes.length === 0) return exchange.sendNothing();
  const headers = ["Content-Type", "application/json"];
  if (found.expiresAtMs !== null) headers.push("Metadata.ttlexpiretime", expireTimeText(found.expiresAtMs));
  exchange.send(200, headers, found.bytes);
}

async function transactActorState(exchange: Exchange, { actors, bodyBytesMax }: ActorRoutesOptions): Promise<void> {
  const actor = addressOf(exchange);
  actors.require(actor.actorType);
  const operations = decodeActorTransaction(await exchange.body(bodyBytesMax, BODY_PREFIX));
  await actors.transact(actor, operations, exchange);
  exchange.sendNothing();
}
