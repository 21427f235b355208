// The routes around the state API: metadata, health, shutdown (dapr-state-api.md 8), and Pannier's own under
// /pannier/v1/. Dapr's health does not depend on a store: one outage must not take every pod out of its Service.
import { type About, type AboutComponent, ATTRIBUTE_BYTES_MAX } from "../about.ts";
import type { SidecarSettings } from "../settings.ts";
import type { StateService } from "../state/service.ts";
import type { ComponentStatus, FileProblem, OperatorStatus, StoreEntry, StoreTable } from "../state/table.ts";
import { goJson, shortAnswer } from "./errors.ts";
import type { Exchange } from "./exchange.ts";
import type { Router } from "./router.ts";
import type { Handler } from "./server.ts";

export interface SidecarRoutesOptions {
  readonly settings: SidecarSettings;
  readonly stores: StoreTable;
  /** All Components, those that failed too. */
  readonly statuses: () => readonly ComponentStatus[];
  /** Manifests that cannot be used, whether a Component belongs to them or not. */
  readonly fileProblems: () => readonly FileProblem[];
  /** Why the start is not over, in a cluster; null when it is. */
  readonly unready: () => string | null;
  /** Null outside of a cluster. */
  readonly operator: (() => OperatorStatus) | null;
  readonly service: StateService;
  /** Called once the answer to a shutdown request is out. */
  readonly onShutdown: (force: boolean) => void;
  readonly about: About;
}

/** Health and metadata: all that the public port serves. */
export function addPublicRoutes(router: Router<Handler>, options: SidecarRoutesOptions): void {
  router.add(["GET"], {
    name: "Healthz",
    pattern: "/v1.0/healthz",
    api: null,
    handler: (exchange) => healthz(exchange, options),
  });
  router.add(["GET"], {
    name: "HealthzOutbound",
    pattern: "/v1.0/healthz/outbound",
    api: null,
    handler: (exchange) => outboundHealth(exchange, options),
  });
  router.add(["GET"], {
    name: "GetMetadata",
    pattern: "/v1.0/metadata",
    api: "metadata/v1.0",
    handler: (exchange) => getMetadata(exchange, options),
  });
}

export function addSidecarRoutes(router: Router<Handler>, options: SidecarRoutesOptions): void {
  addPublicRoutes(router, options);
  router.add(["PUT"], {
    name: "SetMetadata",
    pattern: "/v1.0/metadata/{key}",
    api: "metadata/v1.0",
    handler: (exchange) => setMetadata(exchange, options),
  });
  router.add(["POST"], {
    name: "Shutdown",
    pattern: "/v1.0/shutdown",
    api: "shutdown/v1.0",
    handler: (exchange) => shutdown(exchange, options),
  });
  router.add(["GET"], {
    name: "PannierHealth",
    pattern: "/pannier/v1/health",
    api: "pannier/v1",
    handler: (exchange) => health(exchange, options),
  });
  router.add(["GET"], {
    name: "PannierStore",
    pattern: "/pannier/v1/state/{storeName}",
    api: "pannier/v1",
    handler: (exchange) => describeStore(exchange, options),
  });
}

/** `?appid=` asks whose health this is. */
function healthz(exchange: Exchange, { settings, unready }: SidecarRoutesOptions): void {
  const asked = exchange.query.get("appid") ?? settings.appId;
  const why = unready();
  if (asked !== settings.appId) sendUnhealthy(exchange, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match");
  else if (why !== null) sendUnhealthy(exchange, "ERR_HEALTH_NOT_READY", `dapr is not ready: ${why}`);
  else exchange.sendNothing();
}

function outboundHealth(exchange: Exchange, { unready }: SidecarRoutesOptions): void {
  const why = unready();
  if (why === null) exchange.sendNothing();
  else sendUnhealthy(exchange, "ERR_OUTBOUND_HEALTH_NOT_READY", `dapr outbound is not ready: ${why}`);
}

function sendUnhealthy(exchange: Exchange, errorCode: string, message: string): void {
  const { status, body } = shortAnswer(500, errorCode, message);
  exchange.sendJson(status, body);
}

function getMetadata(exchange: Exchange, { about }: SidecarRoutesOptions): void {
  const { id, runtimeVersion, enabledFeatures, components, extended, app, resiliencies } = about.sidecar();
  exchange.sendJson(
    200,
    goJson({
      id,
      runtimeVersion,
      enabledFeatures: enabledFeatures.length === 0 ? undefined : enabledFeatures,
      components: components.length === 0 ? undefined : components.map(describeComponent),
      extended,
      appConnectionProperties: { ...app, port: app.port ?? undefined, maxConcurrency: app.maxConcurrency ?? undefined },
      actorRuntime: { runtimeStatus: "DISABLED", hostReady: false, placement: "placement: disconnected" },
      resiliencies: resiliencies.length === 0 ? undefined : resiliencies.map((name) => ({ name })),
    }),
  );
}

function describeComponent(component: AboutComponent): object {
  return { ...component, capabilities: component.capabilities ?? undefined };
}

async function setMetadata(exchange: Exchange, { about }: SidecarRoutesOptions): Promise<void> {
  const body = await exchange.body(ATTRIBUTE_BYTES_MAX, "");
  const refusal = about.setAttribute(exchange.parameter(0), body.toString("utf8"));
  if (refusal === null) return exchange.sendNothing();
  const { status, body: answer } = shortAnswer(400, "ERR_MALFORMED_REQUEST", refusal);
  exchange.sendJson(status, answer);
}

function shutdown(exchange: Exchange, { onShutdown }: SidecarRoutesOptions): void {
  const force = isForced(exchange);
  exchange.response.once("close", () => onShutdown(force));
  exchange.sendNothing();
}

function isForced(exchange: Exchange): boolean {
  const header = exchange.request.headers["dapr-force-shutdown"];
  return typeof header === "string" && header.toLowerCase() === "true";
}

/**
 * 200 when every manifest can be used, every Component works as its own says and every store answers, else 503. While the
 * operator is away nothing is known to be otherwise: that is told, and changes no status.
 */
function health(exchange: Exchange, { stores, statuses, fileProblems, operator }: SidecarRoutesOptions): void {
  const all = statuses();
  const problems = fileProblems();
  const opened = [...stores.all()];
  const allReady = problems.length === 0 && all.every((status) => status.state === "ready");
  const healthy = allReady && opened.every((entry) => entry.health.up);
  const body = {
    healthy,
    components: all,
    files: problems.map(({ file, problem, sinceMs }) => ({ file, problem, since: new Date(sinceMs).toISOString() })),
    stores: opened.map(describeHealth),
    operator: operator === null ? undefined : describeOperator(operator()),
  };
  exchange.sendJson(healthy ? 200 : 503, goJson(body));
}

function describeOperator({ address, connected, sinceMs, lastContactMs, problem }: OperatorStatus): object {
  const since = new Date(sinceMs).toISOString();
  const lastContact = lastContactMs === null ? null : new Date(lastContactMs).toISOString();
  return { address, connected, since, lastContact, message: problem };
}

function describeHealth({ name, type, version, health }: StoreEntry): object {
  const since = new Date(health.sinceMs).toISOString();
  return { name, type, version, up: health.up, since, message: health.up ? null : health.message };
}

/** What a store can do, how much it takes and what its words mean: the contract that requests are held to. */
function describeStore(exchange: Exchange, { service, about }: SidecarRoutesOptions): void {
  const { traits, ...body } = about.store(service.find(exchange.parameter(0)));
  // Whether an ETag may begin with a quote is a matter of If-Match alone.
  const { strongRead, strongWrite, etagMayBeQuoted: _, ...shown } = traits;
  exchange.sendJson(200, goJson({ ...body, consistency: { strongRead, strongWrite }, traits: shown }));
}
