// What `pannier run` says once it serves: where, with which store, and two commands to copy.
import { relative } from "node:path";
import { VERSION } from "#kit/version.ts";
import type { SidecarSettings } from "#sidecar/settings.ts";
import { socketPath } from "#sidecar/socket-path.ts";
import { reachableHost } from "./environment.ts";
import { APP_ID_FILE, type Kept, MANIFEST_FILE } from "./folder.ts";

export interface BannerFacts {
  /** With the ports that are really bound. */
  readonly settings: SidecarSettings;
  readonly stores: readonly { readonly name: string; readonly type: string }[];
  /** Null when --app-id was given. */
  readonly keptAppId: Kept | null;
  /** Null when --resources-path was given. */
  readonly keptResources: Kept | null;
  readonly command: readonly string[];
  readonly cwd: string;
}

/** The banner, with its line ends. */
export function banner(facts: BannerFacts): string {
  const { settings } = facts;
  const rows: [string, string][] = [
    ["state API", apiAddress(settings)],
    ["gRPC", grpcAddress(settings)],
    ...(settings.metricsEnabled ? [["metrics", metricsAddress(settings)] as [string, string]] : []),
    ["app id", facts.keptAppId === null ? settings.appId : `${settings.appId} (kept in ${APP_ID_FILE})`],
    ...storeRows(facts),
    ["manifests", manifests(facts)],
    ...(facts.command.length > 0 ? [["app", facts.command.join(" ")] as [string, string]] : []),
  ];
  const table = rows.map(([name, value]) => `  ${name.padEnd(10)} ${value}\n`).join("");
  return `\nPannier ${VERSION} is running. Ctrl-C ends it.\n\n${table}\n${curlLines(facts)}\n`;
}

function apiAddress(settings: SidecarSettings): string {
  const { unixSocketFolder, appId } = settings;
  if (unixSocketFolder !== null) return `unix socket ${socketPath(unixSocketFolder, appId, "http")}`;
  return `http://${shownHost(settings.listenAddresses)}:${settings.httpPort}`;
}

/** As gRPC clients write it: without a scheme, or unix:path. */
function grpcAddress({ unixSocketFolder, appId, listenAddresses, grpcPort }: SidecarSettings): string {
  if (unixSocketFolder !== null) return `unix:${socketPath(unixSocketFolder, appId, "grpc")}`;
  return `${shownHost(listenAddresses)}:${grpcPort}`;
}

function metricsAddress(settings: SidecarSettings): string {
  return `http://${shownHost([settings.metricsListenAddress])}:${settings.metricsPort}/metrics`;
}

/** "localhost" reads best, and every program tries 127.0.0.1 for it. */
function shownHost(addresses: readonly string[]): string {
  return addresses.length === 0 || addresses.includes("127.0.0.1") || addresses.includes("0.0.0.0")
    ? "localhost"
    : reachableHost(addresses);
}

function storeRows(facts: BannerFacts): [string, string][] {
  if (facts.stores.length === 0) return [["store", "none: no manifest describes one for this app"]];
  return facts.stores.map((store) => ["store", `${store.name} (${store.type})`]);
}

function manifests(facts: BannerFacts): string {
  if (facts.keptResources?.made === true)
    return `${MANIFEST_FILE}, just written; edit it and the running store changes`;
  const folders = facts.settings.resourcesPaths.map((path) => relative(facts.cwd, path) || ".");
  return `${folders.join(", ")}; edit them and the running stores change`;
}

/** A save and a read, to be pasted into another terminal; nothing when there is no store. */
function curlLines(facts: BannerFacts): string {
  const [store] = facts.stores;
  if (store === undefined) return "";
  const { unixSocketFolder, appId } = facts.settings;
  const socket = unixSocketFolder === null ? "" : ` --unix-socket '${socketPath(unixSocketFolder, appId, "http")}'`;
  const origin = unixSocketFolder === null ? apiAddress(facts.settings) : "http://localhost";
  const url = `${origin}/v1.0/state/${inQuotes(store.name)}`;
  // The variable and not its value: a token does not belong on a screen.
  const token = facts.settings.apiToken === null ? "" : ' -H "dapr-api-token: $DAPR_API_TOKEN"';
  return [
    "Save and read, from another terminal:\n",
    `  curl${socket} -X POST '${url}'${token} -d '[{"key": "greeting", "value": "hello"}]'`,
    `  curl${socket} '${url}/greeting'${token}\n`,
  ].join("\n");
}

/** A store's name as part of a URL that stands between single quotes in a shell. */
function inQuotes(name: string): string {
  return encodeURIComponent(name).replaceAll("'", "%27");
}
