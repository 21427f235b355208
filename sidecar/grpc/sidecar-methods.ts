// The methods of Dapr's service around the state: metadata and shutdown (dapr-state-api.md 8.1 and 8.3).
import type { Clock } from "#kit/clock.ts";
import { ShutdownRequest } from "#proto/gen/dapr/proto/runtime/v1/dapr.ts";
import {
  ActorRuntime_ActorRuntimeStatus,
  GetMetadataRequest,
  GetMetadataResponse,
  SetMetadataRequest,
} from "#proto/gen/dapr/proto/runtime/v1/metadata.ts";
import { Empty } from "#proto/gen/google/protobuf/empty.ts";
import type { About } from "../about.ts";
import { malformed } from "../state/errors.ts";
import { type GrpcCall, type Method, unary } from "./method.ts";
import { DAPR_SERVICE } from "./state-methods.ts";

export interface SidecarMethodsOptions {
  readonly about: About;
  readonly clock: Clock;
  /** Called once the answer to a shutdown request is out. */
  readonly onShutdown: (force: boolean) => void;
}

/** Dapr's sidecar gives its answer this long to get out before it ends, in milliseconds. */
const SHUTDOWN_DELAY_MS = 100;

export function sidecarMethods(options: SidecarMethodsOptions): readonly Method[] {
  return [
    unary({
      path: `${DAPR_SERVICE}GetMetadata`,
      api: "metadata/v1.0",
      request: GetMetadataRequest,
      response: GetMetadataResponse,
      handle: () => getMetadata(options),
    }),
    unary({
      path: `${DAPR_SERVICE}SetMetadata`,
      api: "metadata/v1.0",
      request: SetMetadataRequest,
      response: Empty,
      handle: (request) => setMetadata(request, options),
    }),
    unary({
      path: `${DAPR_SERVICE}Shutdown`,
      api: "shutdown/v1.0",
      request: ShutdownRequest,
      response: Empty,
      handle: (_request, call) => shutdown(call, options),
    }),
  ];
}

function getMetadata({ about }: SidecarMethodsOptions): GetMetadataResponse {
  const { id, runtimeVersion, enabledFeatures, components, extended, app, resiliencies } = about.sidecar();
  return {
    id,
    runtimeVersion,
    enabledFeatures: [...enabledFeatures],
    registeredComponents: components.map((each) => ({ ...each, capabilities: [...(each.capabilities ?? [])] })),
    extendedMetadata: extended,
    appConnectionProperties: {
      port: app.port ?? 0,
      protocol: app.protocol,
      channelAddress: app.channelAddress,
      maxConcurrency: app.maxConcurrency ?? 0,
      health: undefined,
    },
    actorRuntime: {
      runtimeStatus: ActorRuntime_ActorRuntimeStatus.DISABLED,
      activeActors: [],
      hostReady: false,
      placement: "placement: disconnected",
    },
    resiliencies: resiliencies.map((name) => ({ name })),
    ...NOT_HERE,
  };
}

/** What belongs to parts of Dapr that Pannier does not have. */
const NOT_HERE = {
  activeActorsCount: [],
  subscriptions: [],
  httpEndpoints: [],
  scheduler: undefined,
  workflows: undefined,
  mcpServers: [],
  workflowAccessPolicies: [],
};

/** An empty name does nothing, as with Dapr. */
function setMetadata({ key, value }: SetMetadataRequest, { about }: SidecarMethodsOptions): Empty {
  const refusal = key === "" ? null : about.setAttribute(key, value);
  if (refusal !== null) throw malformed(refusal);
  return {};
}

function shutdown(call: GrpcCall, { clock, onShutdown }: SidecarMethodsOptions): Empty {
  const header = call.metadata.get("dapr-force-shutdown");
  const force = typeof header === "string" && header.toLowerCase() === "true";
  clock.after(SHUTDOWN_DELAY_MS, () => onShutdown(force));
  return {};
}
