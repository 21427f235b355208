// What the app finds in its environment, as the Dapr CLI sets it: the names by which SDKs look for their sidecar.
import type { SidecarSettings } from "#sidecar/settings.ts";
import { socketPath } from "#sidecar/socket-path.ts";

/** Addresses that listen on every interface, and the one by which this machine reaches itself there. */
const REACHED_BY: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "[::1]"],
]);

/** The host part of a URL by which a program on this machine reaches a server with these addresses; empty: all. */
export function reachableHost(addresses: readonly string[]): string {
  const [first = "0.0.0.0"] = addresses;
  return REACHED_BY.get(first) ?? (first.includes(":") ? `[${first}]` : first);
}

/** The variables for the app, on top of those of this process. `settings` with the ports that are really bound. */
export function appEnvironment(settings: SidecarSettings): Readonly<Record<string, string>> {
  return {
    APP_ID: settings.appId,
    ...(settings.appPort === null ? {} : { APP_PORT: String(settings.appPort) }),
    APP_PROTOCOL: settings.appProtocol,
    APP_CHANNEL_ADDRESS: settings.appChannelAddress,
    ...(settings.metricsEnabled ? { DAPR_METRICS_PORT: String(settings.metricsPort) } : {}),
    ...endpoints(settings),
  };
}

/** SDKs know no unix socket for HTTP, so there is no variable for it; no port is named on which nobody listens. */
function endpoints({ appId, unixSocketFolder, listenAddresses, httpPort, grpcPort }: SidecarSettings): object {
  if (unixSocketFolder !== null) return { DAPR_GRPC_ENDPOINT: `unix://${socketPath(unixSocketFolder, appId, "grpc")}` };
  const host = reachableHost(listenAddresses);
  return {
    DAPR_HTTP_PORT: String(httpPort),
    DAPR_GRPC_PORT: String(grpcPort),
    DAPR_HTTP_ENDPOINT: `http://${host}:${httpPort}`,
    DAPR_GRPC_ENDPOINT: `http://${host}:${grpcPort}`,
  };
}
