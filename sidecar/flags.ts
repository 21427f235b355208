// Turns the command line and the environment into SidecarSettings, or into the reason why not. The only reader of both
// for the sidecar; gets them as arguments, and prints, starts and ends nothing.
import { IDENTITY_FOLDER } from "#crds/distribution.ts";
import { isTruthy } from "#crds/fields.ts";
import { type Grammar, parseArguments } from "#kit/arguments.ts";
import { DAPRD_FLAGS, DAPRD_FLAGS_WITHOUT_EFFECT, type DaprdFlags, PORT_MAX, type ServeFlags } from "./daprd-flags.ts";
import type { OperatorSettings, SidecarSettings } from "./settings.ts";

/** The variables that the sidecar reads; `process.env` fits. */
export interface SidecarEnvironment {
  readonly NAMESPACE?: string | undefined;
  readonly POD_NAME?: string | undefined;
  readonly DAPR_API_TOKEN?: string | undefined;
  readonly DAPR_HTTP_DISABLE_H2C?: string | undefined;
  readonly DAPR_COMPONENTS_SOCKETS_FOLDER?: string | undefined;
  /** The same as Dapr's injector spells it, and Dapr's sidecar does not read it. */
  readonly DAPR_COMPONENT_SOCKETS_FOLDER?: string | undefined;
  /** PEM, from the injector. */
  readonly DAPR_TRUST_ANCHORS?: string | undefined;
  /** Where token and trust anchors are, in place of the folder that the injector mounts. */
  readonly PANNIER_IDENTITY_FOLDER?: string | undefined;
}

/** Where Dapr looks for the sockets of pluggable components by default (pkg/components/pluggable/discovery.go). */
const COMPONENTS_SOCKETS_FOLDER = "/tmp/dapr-components-sockets";

/** What a command line of daprd asks for. */
export type SidecarRequest =
  | {
      readonly asks: "serve";
      readonly settings: SidecarSettings;
      /** Flags (and stray words) that were taken and change nothing, as they are to be shown: "--enable-mtls". */
      readonly withoutEffect: readonly string[];
    }
  | { readonly asks: "version" | "build-info" | "help" }
  /** Wait until the sidecar on this port of localhost is ready. */
  | { readonly asks: "wait"; readonly httpPort: number }
  /** The command line cannot be read: exit code 2, as daprd's. */
  | { readonly asks: "usage"; readonly error: string }
  /** It can be read, but not started so: exit code 1, as daprd's. */
  | { readonly asks: "refusal"; readonly error: string; readonly logJson: boolean };

const GRAMMAR: Grammar<DaprdFlags> = {
  flags: DAPRD_FLAGS,
  ignored: DAPRD_FLAGS_WITHOUT_EFFECT,
  // daprd looks for flags behind stray words too, and ignores the words.
  stopAtWord: false,
};

/** Reads a command line of daprd (dapr-state-api.md 8.4), without the program's name. */
export function readSidecarFlags(argv: readonly string[], env: SidecarEnvironment): SidecarRequest {
  const parsed = parseArguments(GRAMMAR, argv);
  if ("error" in parsed) return { asks: "usage", error: parsed.error };
  const { values } = parsed;
  // daprd answers these before it looks at any other flag: none of them needs an app id.
  if (values.help) return { asks: "help" };
  if (values.version) return { asks: "version" };
  if (values["build-info"]) return { asks: "build-info" };
  if (values.wait) return { asks: "wait", httpPort: values["dapr-http-port"] };
  const cluster = operatorSettings(values, env);
  const outcome = "error" in cluster ? cluster : settingsFrom(values, env, cluster.operator);
  if ("error" in outcome) return { asks: "refusal", error: outcome.error, logJson: values["log-as-json"] };
  const ignored = [...parsed.ignored, ...ofOtherMode(values)];
  const withoutEffect = [...ignored.map((name) => `--${name}`), ...parsed.words];
  return { asks: "serve", settings: outcome.settings, withoutEffect };
}

/** `operator` is null in standalone mode. */
function operatorSettings(
  { mode, config, "control-plane-address": address }: DaprdFlags,
  env: SidecarEnvironment,
): { readonly operator: OperatorSettings | null } | { readonly error: string } {
  if (mode !== "kubernetes") return { operator: null };
  const place = address.startsWith("[") ? /^\[(.+)\]:(\d{1,5})$/.exec(address) : /^([^:]+):(\d{1,5})$/.exec(address);
  const [, host = "", port = ""] = place ?? [];
  if (host === "" || Number(port) < 1 || Number(port) > PORT_MAX) {
    const want = "host:port of the operator, as the injector gives it: --mode kubernetes gets its Components there";
    return { error: `--control-plane-address: got ${JSON.stringify(address)}, want ${want}` };
  }
  if (config.length > 1)
    return { error: `--config: got ${config.length} names, want one at most in --mode kubernetes` };
  return {
    operator: {
      host,
      port: Number(port),
      identityFolder: textOrNull(env.PANNIER_IDENTITY_FOLDER) ?? IDENTITY_FOLDER,
      trustAnchors: env.DAPR_TRUST_ANCHORS ?? "",
      configuration: textOrNull(config[0]),
    },
  };
}

/** Flags that were given and mean something in the other mode only. */
function ofOtherMode(flags: DaprdFlags): readonly string[] {
  if (flags.mode !== "kubernetes") return flags["control-plane-address"] === "" ? [] : ["control-plane-address"];
  const given = {
    "resources-path": flags["resources-path"].length > 0,
    "components-path": flags["components-path"] !== "",
  };
  return Object.entries(given).flatMap(([name, isGiven]) => (isGiven ? [name] : []));
}

/** Settings from values that were read, or an error that says which of them does not go. */
export function settingsFrom(
  flags: ServeFlags,
  env: SidecarEnvironment,
  operator: OperatorSettings | null = null,
): { readonly settings: SidecarSettings } | { readonly error: string } {
  const error = wrongMode(flags, operator) ?? wrongAppId(flags["app-id"]) ?? clash(flags);
  if (error !== null) return { error };
  return {
    settings: Object.freeze({
      ...appSettings(flags),
      ...addressSettings(flags),
      ...limitSettings(flags),
      namespace: env.NAMESPACE ?? "",
      podName: env.POD_NAME ?? null,
      apiToken: textOrNull(env.DAPR_API_TOKEN),
      http2: !isTruthy(env.DAPR_HTTP_DISABLE_H2C ?? ""),
      componentsSocketsFolder:
        textOrNull(env.DAPR_COMPONENTS_SOCKETS_FOLDER) ??
        textOrNull(env.DAPR_COMPONENT_SOCKETS_FOLDER) ??
        COMPONENTS_SOCKETS_FOLDER,
      resourcesPaths: operator === null ? resourcesPaths(flags) : [],
      configPaths: operator === null ? flags.config : [],
      allowedOrigins: flags["allowed-origins"],
      apiLogging: flags["enable-api-logging"],
      logLevel: flags["log-level"],
      logJson: flags["log-as-json"],
      operator,
    }),
  };
}

function wrongMode({ mode }: ServeFlags, operator: OperatorSettings | null): string | null {
  if (mode !== "kubernetes" || operator !== null) return null;
  return "--mode kubernetes is for pods, where pannier sidecar runs; on this machine use --mode standalone";
}

/** Why an app id cannot be used, or null. The rules of a self-hosted sidecar (dapr-state-api.md 5). */
export function wrongAppId(appId: string): string | null {
  if (appId === "")
    return "--app-id is missing: want the name of the app, as in --app-id orders; its keys begin with it";
  if (appId.includes(".")) return `--app-id: got ${JSON.stringify(appId)}, want a name without dots`;
  return null;
}

function clash(flags: ServeFlags): string | null {
  const appPort = flags["app-port"];
  if (appPort <= 0) return null;
  for (const name of ["dapr-http-port", "dapr-grpc-port"] as const) {
    if (flags[name] === appPort)
      return `--${name}: got ${appPort}, want another port than --app-port; the app listens there`;
  }
  return null;
}

type AppSettings = Pick<
  SidecarSettings,
  "appId" | "appPort" | "appProtocol" | "appChannelAddress" | "appMaxConcurrency"
>;

const WITH_TLS: Readonly<Record<string, string>> = { http: "https", grpc: "grpcs" };

function appSettings(flags: ServeFlags): AppSettings {
  const protocol = flags["app-protocol"];
  return {
    appId: flags["app-id"],
    appPort: flags["app-port"] > 0 ? flags["app-port"] : null,
    appProtocol: flags["app-ssl"] ? (WITH_TLS[protocol] ?? protocol) : protocol,
    appChannelAddress: flags["app-channel-address"],
    appMaxConcurrency: flags["app-max-concurrency"] < 1 ? -1 : flags["app-max-concurrency"],
  };
}

type AddressSettings = Pick<
  SidecarSettings,
  | "httpPort"
  | "grpcPort"
  | "publicPort"
  | "unixSocketFolder"
  | "listenAddresses"
  | "publicListenAddresses"
  | "metricsEnabled"
  | "metricsPort"
  | "metricsListenAddress"
>;

function addressSettings(flags: ServeFlags): AddressSettings {
  return {
    httpPort: flags["dapr-http-port"],
    grpcPort: flags["dapr-grpc-port"],
    publicPort: flags["dapr-public-port"],
    unixSocketFolder: textOrNull(flags["unix-domain-socket"]),
    listenAddresses: flags["dapr-listen-addresses"].map(withoutBrackets),
    publicListenAddresses: flags["dapr-public-listen-address"].map(withoutBrackets),
    metricsEnabled: flags["enable-metrics"],
    metricsPort: flags["metrics-port"],
    metricsListenAddress: withoutBrackets(flags["metrics-listen-address"]),
  };
}

/** Go writes an IPv6 address in brackets before a port, so the docs do too: "[::1]". Node takes it bare. */
function withoutBrackets(address: string): string {
  return address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
}

type LimitSettings = Pick<
  SidecarSettings,
  "bodyBytesMax" | "headerBytesMax" | "drainMs" | "blockShutdownMs" | "reconcileMs"
>;

const BODY_BYTES_DEFAULT = 4 * 2 ** 20;
const HEADER_BYTES_DEFAULT = 4 * 2 ** 10;
/** What Go's server falls back to when the flag is 0 or less. */
const HEADER_BYTES_UNSET = 2 ** 20;
const DRAIN_DEFAULT_SEC = 5;
const RECONCILE_DEFAULT_MS = 60_000;

function limitSettings(flags: ServeFlags): LimitSettings {
  const bodyBytes = flags["max-body-size"] ?? scaled(flags["dapr-http-max-request-size"], 2 ** 20) ?? -1;
  const headerBytes = flags["read-buffer-size"] ?? scaled(flags["dapr-http-read-buffer-size"], 2 ** 10) ?? -1;
  const drainSec = flags["dapr-graceful-shutdown-seconds"];
  return {
    bodyBytesMax: bodyBytes === -1 ? BODY_BYTES_DEFAULT : Math.max(bodyBytes, 0),
    headerBytesMax: headerBytesMax(headerBytes),
    drainMs: (drainSec < 0 ? DRAIN_DEFAULT_SEC : drainSec) * 1000,
    blockShutdownMs: flags["dapr-block-shutdown-duration"],
    reconcileMs: flags["hot-reload-reconcile-interval"] || RECONCILE_DEFAULT_MS,
  };
}

function headerBytesMax(bytes: number): number {
  if (bytes === -1) return HEADER_BYTES_DEFAULT;
  return bytes > 0 ? bytes : HEADER_BYTES_UNSET;
}

/** The deprecated spellings count in larger units; -1 stands for the default and stays. */
function scaled(amount: number | null, unit: number): number | null {
  return amount === null || amount < 0 ? amount : amount * unit;
}

/** The deprecated flag counts only when the other is absent: scripts pass the same folder in both. */
function resourcesPaths(flags: ServeFlags): readonly string[] {
  if (flags["resources-path"].length > 0 || flags["components-path"] === "") return flags["resources-path"];
  return [flags["components-path"]];
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined || text === "" ? null : text;
}
