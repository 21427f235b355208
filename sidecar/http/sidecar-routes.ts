// The routes around the state API: metadata, health, shutdown (dapr-state-api.md 8), and Pannier's own under
// /pannier/v1/. Dapr's health does not depend on a store: one outage must not take every pod out of its Service.
import { RUNTIME_VERSION } from "#kit/version.ts";
import type { SidecarSettings } from "../settings.ts";
import type { StateService } from "../state/service.ts";
import type { ComponentStatus, FileProblem, StoreEntry, StoreTable } from "../state/table.ts";
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
  readonly service: StateService;
  /** Called once the answer to a shutdown request is out. */
  readonly onShutdown: (force: boolean) => void;
  /** Attributes that clients have set; shared by the servers. */
  readonly attributes: Map<string, string>;
}

/** Attributes that PUT /v1.0/metadata/{key} keeps, and the size of one in bytes. */
const ATTRIBUTES_MAX = 1000;
const ATTRIBUTE_BYTES_MAX = 65_536;
/** And all of them together. */
const ATTRIBUTES_BYTES_MAX = 1024 * 1024;

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
    handler: (exchange) => exchange.sendNothing(),
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
  addActorRoutes(router);
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

const ACTOR_STATE = "/v1.0/actors/{actorType}/{actorId}/state";

/** This release has no actors: it answers as a sidecar of Dapr without placement does (dapr-state-api.md 4.3). */
function addActorRoutes(router: Router<Handler>): void {
  const api = "actors/v1.0";
  const handler = (exchange: Exchange): void => {
    const { status, body } = shortAnswer(400, "ERR_ACTOR_NO_PLACEMENT", "placement service is not configured");
    exchange.sendJson(status, body);
  };
  router.add(["GET"], { name: "GetActorState", pattern: `${ACTOR_STATE}/{key}`, api, handler });
  router.add(["POST", "PUT"], { name: "ExecuteActorStateTransaction", pattern: ACTOR_STATE, api, handler });
}

/** The servers listen only when everything is up, so ready is all there is; `?appid=` asks whose health this is. */
function healthz(exchange: Exchange, { settings }: SidecarRoutesOptions): void {
  const asked = exchange.query.get("appid") ?? settings.appId;
  if (asked === settings.appId) {
    exchange.sendNothing();
    return;
  }
  const { status, body } = shortAnswer(500, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match");
  exchange.sendJson(status, body);
}

function getMetadata(exchange: Exchange, options: SidecarRoutesOptions): void {
  const { settings, stores, attributes } = options;
  const troubles = options.statuses().filter((status) => status.message !== null);
  const extended = Object.fromEntries([
    // First, so that no client can put its word in the place of ours.
    ...attributes,
    ["daprRuntimeVersion", RUNTIME_VERSION],
    ...troubles.map((status) => [`pannier.component.${status.name}`, `${status.state}: ${status.message}`]),
    ...options.fileProblems().map(({ file, problem }) => [`pannier.file.${file}`, problem]),
  ]);
  const loaded = options.statuses().filter((status) => status.state !== "failed");
  exchange.sendJson(
    200,
    goJson({
      id: settings.appId,
      runtimeVersion: RUNTIME_VERSION,
      enabledFeatures: ["HotReload"],
      components: loaded.length === 0 ? undefined : loaded.map((status) => describeComponent(status, stores)),
      extended,
      appConnectionProperties: describeApp(settings),
      actorRuntime: { runtimeStatus: "DISABLED", hostReady: false, placement: "placement: disconnected" },
    }),
  );
}

function describeComponent({ name, type, version }: ComponentStatus, stores: StoreTable): object {
  const entry = stores.find(name);
  return { name, type, version, capabilities: entry === undefined ? undefined : capabilities(entry) };
}

/** Dapr's words in Dapr's order; ACTOR wherever ETags and transactions are (dapr-state-api.md 8.1). */
function capabilities({ store }: StoreEntry): readonly string[] {
  return store.features.etag && store.features.transactions ? [...store.capabilities, "ACTOR"] : store.capabilities;
}

function describeApp(settings: SidecarSettings): object {
  const { appPort, appProtocol, appChannelAddress, appMaxConcurrency } = settings;
  return {
    port: appPort ?? undefined,
    protocol: appProtocol,
    channelAddress: appChannelAddress,
    maxConcurrency: appMaxConcurrency > 0 ? appMaxConcurrency : undefined,
  };
}

async function setMetadata(exchange: Exchange, { attributes }: SidecarRoutesOptions): Promise<void> {
  const name = exchange.parameter(0);
  const body = await exchange.body(ATTRIBUTE_BYTES_MAX, "");
  const refusal = attributeRefusal(attributes, name, body.length);
  if (refusal !== null) {
    const { status, body: answer } = shortAnswer(400, "ERR_MALFORMED_REQUEST", refusal);
    exchange.sendJson(status, answer);
    return;
  }
  attributes.set(name, body.toString("utf8"));
  exchange.sendNothing();
}

function attributeRefusal(attributes: ReadonlyMap<string, string>, name: string, bytes: number): string | null {
  if (!attributes.has(name) && attributes.size >= ATTRIBUTES_MAX) {
    return `the sidecar keeps at most ${ATTRIBUTES_MAX} metadata attributes`;
  }
  let total = bytes;
  for (const [other, value] of attributes) if (other !== name) total += Buffer.byteLength(value);
  if (total <= ATTRIBUTES_BYTES_MAX) return null;
  return `the sidecar keeps at most ${ATTRIBUTES_BYTES_MAX} bytes of metadata attributes`;
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

/** 200 when every manifest can be used, every Component works as its own says and every store answers, else 503. */
function health(exchange: Exchange, { stores, statuses, fileProblems }: SidecarRoutesOptions): void {
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
  };
  exchange.sendJson(healthy ? 200 : 503, goJson(body));
}

function describeHealth({ name, type, version, health }: StoreEntry): object {
  const since = new Date(health.sinceMs).toISOString();
  return { name, type, version, up: health.up, since, message: health.up ? null : health.message };
}

/** What a store can do, how much it takes and what its words mean: the contract that requests are held to. */
function describeStore(exchange: Exchange, { service, settings }: SidecarRoutesOptions): void {
  const entry = service.find(exchange.parameter(0));
  const { features, limits, traits, defaultTtlSec } = entry.store;
  const body = {
    name: entry.name,
    type: entry.type,
    version: entry.version,
    features,
    limits: { ...limits, requestBytesMax: settings.bodyBytesMax === 0 ? null : settings.bodyBytesMax },
    consistency: { strongRead: traits.strongRead, strongWrite: traits.strongWrite },
    traits: {
      values: traits.values,
      foreignEtag: traits.foreignEtag,
      firstWriteDelete: traits.firstWriteDelete,
      ttlStepMs: traits.ttlStepMs,
      durable: traits.durable,
    },
    defaultTtlSec,
  };
  exchange.sendJson(200, goJson(body));
}
