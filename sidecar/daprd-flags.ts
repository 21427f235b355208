// Every flag of daprd (dapr-state-api.md 8.4) as two tables: those that work here and those that are only taken.
// Says how a flag is written and what it defaults to; what the values mean together is settled in flags.ts.
import {
  booleanFlag,
  bytesFlag,
  commaFlag,
  durationFlag,
  type FlagTable,
  type IgnoredFlag,
  listFlag,
  textFlag,
  wholeFlag,
  wordFlag,
} from "#kit/arguments.ts";
import { LOG_LEVELS, type LogLevel } from "#kit/log.ts";

export const APP_PROTOCOLS = ["http", "https", "grpc", "grpcs", "h2c"] as const;
export type AppProtocol = (typeof APP_PROTOCOLS)[number];

export const PORT_MAX = 65_535;
const HOUR_MS = 3_600_000;
const DAY_SEC = 86_400;

/** What says how to serve. */
export interface ServeFlags {
  "app-id": string;
  /** 0 or less: no app. */
  "app-port": number;
  "app-protocol": AppProtocol;
  "app-ssl": boolean;
  "app-channel-address": string;
  "app-max-concurrency": number;
  "dapr-http-port": number;
  "dapr-grpc-port": number;
  "dapr-public-port": number | null;
  "dapr-listen-addresses": readonly string[];
  "dapr-public-listen-address": readonly string[];
  "resources-path": readonly string[];
  "components-path": string;
  config: readonly string[];
  /** Bytes; null when not given, as the next three. */
  "max-body-size": number | null;
  "dapr-http-max-request-size": number | null;
  "read-buffer-size": number | null;
  "dapr-http-read-buffer-size": number | null;
  "allowed-origins": readonly string[];
  /** Null when not given: then the Configuration decides. */
  "enable-api-logging": boolean | null;
  "enable-metrics": boolean;
  "metrics-port": number;
  "metrics-listen-address": string;
  "log-level": LogLevel;
  "log-as-json": boolean;
  "dapr-graceful-shutdown-seconds": number;
  /** Milliseconds, as the next one. */
  "dapr-block-shutdown-duration": number;
  "hot-reload-reconcile-interval": number;
  mode: "standalone" | "kubernetes";
  "unix-domain-socket": string;
}

/** All of daprd's: the last four ask for something else than serving. */
export interface DaprdFlags extends ServeFlags {
  "control-plane-address": string;
  wait: boolean;
  version: boolean;
  "build-info": boolean;
  help: boolean;
}

const port = { placeholder: "PORT", min: 0, max: PORT_MAX };
const size = { placeholder: "SIZE", fallback: null };
const count = { fallback: null, min: -1, max: 1_000_000 };

export const SERVE_FLAGS: FlagTable<ServeFlags> = {
  "app-id": textFlag({ placeholder: "ID", fallback: "", doc: "name of the app; its keys begin with it" }),
  "app-port": optionalPort(0, -1, "port on which the app listens; 0 for none"),
  "app-protocol": wordFlag({
    placeholder: "PROTOCOL",
    fallback: "http",
    words: APP_PROTOCOLS,
    doc: "how the app is spoken to; told in metadata",
  }),
  "app-ssl": booleanFlag({ fallback: false, doc: "deprecated: use --app-protocol https or grpcs" }),
  "app-channel-address": textFlag({
    placeholder: "ADDRESS",
    fallback: "127.0.0.1",
    doc: "address on which the app listens; told in metadata",
  }),
  "app-max-concurrency": wholeFlag({
    placeholder: "N",
    fallback: -1,
    min: -1,
    max: 1_000_000,
    doc: "calls to the app at once, -1 for no limit; told in metadata",
  }),
  "dapr-http-port": wholeFlag({ ...port, fallback: 3500, doc: "port of the HTTP API" }),
  "dapr-grpc-port": wholeFlag({ ...port, fallback: 50_001, doc: "port of the gRPC API" }),
  "dapr-public-port": optionalPort(null, 0, "port for health and metadata without a token; off unless given"),
  "dapr-listen-addresses": commaFlag({
    placeholder: "ADDRESSES",
    shownDefault: "all",
    doc: "addresses of the API, separated by commas",
  }),
  "dapr-public-listen-address": commaFlag({
    placeholder: "ADDRESS",
    shownDefault: "all",
    doc: "address of the public port",
  }),
  "resources-path": listFlag({ placeholder: "DIR", doc: "folder with Component manifests; may be repeated" }),
  "components-path": textFlag({
    placeholder: "DIR",
    fallback: "",
    doc: "deprecated: --resources-path, which counts when both are given",
  }),
  config: listFlag({
    placeholder: "FILE",
    doc: "file with a Configuration; may be repeated, later ones override earlier ones",
  }),
  "max-body-size": bytesFlag({ ...size, shownDefault: "4Mi", doc: "largest request body; 0 for no limit" }),
  "dapr-http-max-request-size": wholeFlag({ ...count, placeholder: "MB", doc: "deprecated: use --max-body-size" }),
  "read-buffer-size": bytesFlag({ ...size, shownDefault: "4Ki", doc: "largest head of a request" }),
  "dapr-http-read-buffer-size": wholeFlag({ ...count, placeholder: "KB", doc: "deprecated: use --read-buffer-size" }),
  "allowed-origins": commaFlag({
    placeholder: "ORIGINS",
    doc: "CORS: origins, separated by commas, or *; off unless given",
  }),
  "enable-api-logging": booleanFlag<boolean | null>({ fallback: null, doc: "one log line for each call" }),
  "enable-metrics": booleanFlag({ fallback: true, doc: "serve Prometheus metrics" }),
  "metrics-port": wholeFlag({ ...port, fallback: 9090, doc: "port of the metrics" }),
  "metrics-listen-address": textFlag({ placeholder: "ADDRESS", fallback: "0.0.0.0", doc: "address of the metrics" }),
  "log-level": wordFlag<LogLevel>({
    placeholder: "LEVEL",
    fallback: "info",
    words: LOG_LEVELS,
    // The Dapr CLI's help names "panic", and the log itself writes "warning".
    spellings: { panic: "fatal", warning: "warn" },
    doc: `lowest level that is logged: ${LOG_LEVELS.join(", ")}`,
  }),
  "log-as-json": booleanFlag({ fallback: false, doc: "log lines as JSON" }),
  "dapr-graceful-shutdown-seconds": wholeFlag({
    placeholder: "SECONDS",
    fallback: 5,
    min: -1,
    max: DAY_SEC,
    doc: "how long calls in flight may take to end at shutdown",
  }),
  "dapr-block-shutdown-duration": durationFlag({
    placeholder: "DURATION",
    fallback: 0,
    max: DAY_SEC * 1000,
    doc: "go on serving this long after the signal",
  }),
  "hot-reload-reconcile-interval": durationFlag({
    placeholder: "DURATION",
    fallback: 0,
    shownDefault: "60s",
    max: 24 * HOUR_MS,
    doc: "how often manifests are read again though nothing told of a change",
  }),
  mode: wordFlag({
    placeholder: "MODE",
    fallback: "standalone",
    words: ["standalone", "kubernetes"],
    doc: "where Components come from: kubernetes in a pod, from the operator",
  }),
  "unix-domain-socket": textFlag({
    placeholder: "DIR",
    fallback: "",
    doc: "serve the APIs on unix sockets in this folder, and on no port",
  }),
};

export const DAPRD_FLAGS: FlagTable<DaprdFlags> = {
  ...SERVE_FLAGS,
  "control-plane-address": textFlag({
    placeholder: "HOST:PORT",
    fallback: "",
    doc: "the operator, in --mode kubernetes",
  }),
  wait: booleanFlag({ fallback: false, doc: "wait up to 60 s until a sidecar on --dapr-http-port is ready, then end" }),
  version: booleanFlag({ fallback: false, doc: "print the version" }),
  "build-info": booleanFlag({ fallback: false, doc: "print versions of all that is inside" }),
  help: booleanFlag({ fallback: false, short: "h", doc: "print this help" }),
};

/** A port whose empty text means that it was not given: start scripts pass `--app-port ""`. */
function optionalPort<T extends number | null>(
  fallback: T,
  min: number,
  doc: string,
): FlagTable<{ port: T | number }>["port"] {
  const whole = wholeFlag<T>({ placeholder: "PORT", fallback, min, max: PORT_MAX, shownDefault: "", doc });
  return { ...whole, read: (text, before) => (text === "" ? { value: fallback } : whole.read(text, before)) };
}

const value: IgnoredFlag = { takesValue: true, short: null };
const boolean: IgnoredFlag = { takesValue: false, short: null };

/** Flags of building blocks that Pannier lacks: taken, and named in the log when they ask for something. */
export const DAPRD_FLAGS_WITHOUT_EFFECT: Readonly<Record<string, IgnoredFlag>> = {
  "actors-service": value,
  "app-health-check-path": value,
  "app-health-port": value,
  "app-health-probe-interval": value,
  "app-health-probe-timeout": value,
  "app-health-threshold": value,
  "control-plane-namespace": value,
  "control-plane-trust-domain": value,
  "dapr-internal-grpc-listen-address": value,
  "dapr-internal-grpc-port": value,
  "disable-builtin-k8s-secret-store": boolean,
  "disable-init-endpoints": value,
  "enable-app-health-check": boolean,
  "enable-mtls": boolean,
  "enable-profiling": boolean,
  "placement-host-address": value,
  "profile-port": value,
  "reminders-service": value,
  "scheduler-host-address": value,
  "scheduler-job-streams": value,
  "sentry-address": value,
  "sentry-request-jwt-audiences": value,
};
