// Every annotation of a pod, in one table: name, type, default, what of the sidecar it sets (dapr-kubernetes.md 2.3).
// The injector, `pannier inject` and docs/annotations.md are made from it. Knows no pod.
import { parseQuantity } from "#kit/arguments.ts";
import { parseGoDuration } from "#kit/duration.ts";
import { LOG_LEVELS, type LogLevel } from "#kit/log.ts";
import {
  folder,
  isHost,
  type Kind,
  LIST_MAX,
  labelNames,
  type Mount,
  mounts,
  objectName,
  openFlag,
  type Quantity,
  quantity,
  type SecretVariable,
  secretVariables,
  shaped,
  type Variable,
  variables,
} from "./annotation-values.ts";
import { flag, whole } from "./fields.ts";

/** Dapr's, and ours for a cluster that has both injectors. Each annotation is known under both. */
export const PREFIXES = ["dapr.io/", "pannier.io/"] as const;
/** Put on each pod that was injected; its value is the injector's version. */
export const INJECTED_BY = "pannier.io/injected-by";
/** Put beside it where labels that injection sets were there before: `name=value`, separated by commas. */
export const LABELS_BEFORE = "pannier.io/labels-before";
/** Put beside it where pluggable components were put in: `container/name` and `volume/name`, separated by commas. */
export const INJECTED_COMPONENTS = "pannier.io/injected-components";

/** Dapr's, on a Component: the container that serves its type, in JSON (dapr-kubernetes.md 2.3). */
export const COMPONENT_CONTAINER = "dapr.io/component-container";

/** What the annotations of a pod say. A member is the annotation's name without its prefix. */
export interface AnnotationSettings {
  readonly enabled: boolean;
  readonly "app-id": string | null;
  readonly "app-port": number | null;
  readonly "app-protocol": string;
  readonly "app-ssl": boolean;
  readonly "app-channel-address": string | null;
  readonly "app-max-concurrency": number | null;
  readonly config: string | null;
  readonly "log-level": LogLevel;
  readonly "log-as-json": boolean;
  readonly "enable-api-logging": boolean | null;
  readonly "enable-metrics": boolean;
  readonly "metrics-port": number;
  readonly "http-port": number;
  readonly "grpc-port": number;
  readonly "public-port": number;
  readonly "sidecar-listen-addresses": string;
  readonly "unix-domain-socket-path": string | null;
  readonly "max-body-size": string | null;
  readonly "http-max-request-size": number | null;
  readonly "read-buffer-size": string | null;
  readonly "http-read-buffer-size": number | null;
  readonly "graceful-shutdown-seconds": number;
  readonly "block-shutdown-duration": string | null;
  readonly "sidecar-image": string | null;
  readonly "sidecar-cpu-request": Quantity | null;
  readonly "sidecar-cpu-limit": Quantity | null;
  readonly "sidecar-memory-request": Quantity | null;
  readonly "sidecar-memory-limit": Quantity | null;
  readonly "sidecar-liveness-probe-delay-seconds": number;
  readonly "sidecar-liveness-probe-timeout-seconds": number;
  readonly "sidecar-liveness-probe-period-seconds": number;
  readonly "sidecar-liveness-probe-threshold": number;
  readonly "sidecar-readiness-probe-delay-seconds": number;
  readonly "sidecar-readiness-probe-timeout-seconds": number;
  readonly "sidecar-readiness-probe-period-seconds": number;
  readonly "sidecar-readiness-probe-threshold": number;
  readonly "sidecar-seccomp-profile-type": "RuntimeDefault" | "Unconfined";
  readonly "enable-native-sidecar": boolean | null;
  readonly env: readonly Variable[];
  readonly "env-from-secret": readonly SecretVariable[];
  readonly "api-token-secret": string | null;
  readonly "app-token-secret": string | null;
  readonly "volume-mounts": readonly Mount[];
  readonly "volume-mounts-rw": readonly Mount[];
  /** Names of containers of the pod. */
  readonly "pluggable-components": readonly string[];
  readonly "pluggable-components-sockets-folder": string;
  readonly "inject-pluggable-components": boolean;
}

export type AnnotationName = keyof AnnotationSettings;

export interface Annotation<T> extends Kind<T> {
  /** What of the pod it sets: a flag of the sidecar, a variable, a part of the container. */
  readonly becomes: string;
  /** Dapr has none of this name: it is known under our prefix alone. */
  readonly own: boolean;
  /** Its value may hold a password and is never shown. */
  readonly hidden: boolean;
}

export type AnnotationTable = { readonly [K in AnnotationName]: Annotation<AnnotationSettings[K]> };

function row<T>(becomes: string, kind: Kind<T>, { own = false, hidden = false } = {}): Annotation<T> {
  return { kind: kind.kind, fallback: kind.fallback, doc: kind.doc, read: kind.read, becomes, own, hidden };
}

const PORT_MAX = 65_535;
/** What the sidecar takes for durations and counts (sidecar/daprd-flags.ts). */
const DAY_SEC = 86_400;
const COUNT_MAX = 1_000_000;

/** Variables of the sidecar that are the injector's own. */
export const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  "NAMESPACE",
  "POD_NAME",
  "DAPR_TRUST_ANCHORS",
  "DAPR_CONTROLPLANE_NAMESPACE",
  "DAPR_ENV_KEYS",
  "DAPR_API_TOKEN",
  "APP_API_TOKEN",
]);

function port(fallback: number, doc: string): Kind<number> {
  return whole({ fallback, min: 1, max: PORT_MAX, doc });
}

function seconds(fallback: number, min: number, doc: string): Kind<number> {
  return whole({ fallback, min, max: DAY_SEC, doc });
}

/** One of some words, in any case; `spellings` maps other spellings onto them. Empty text is the default. */
function oneOf<W extends string>(
  words: readonly W[],
  fallback: W,
  doc: string,
  spellings: Readonly<Record<string, W>> = {},
): Kind<W> {
  const want = `one of ${words.join(", ")}`;
  const read: Kind<W>["read"] = (text) => {
    if (text === "") return { value: fallback };
    const lower = text.toLowerCase();
    const word = words.find((each) => each.toLowerCase() === lower) ?? spellings[lower];
    return word === undefined ? { want } : { value: word };
  };
  return { kind: words.map((each) => `\`${each}\``).join(", "), fallback, doc, read };
}

/** A size that the sidecar's own flag takes. */
function size(doc: string): Kind<string | null> {
  const want = 'a size in whole bytes, as in "4Mi", "500k" or "4194304"';
  const read: Kind<string | null>["read"] = (text) => {
    if (text === "") return { value: null };
    return parseQuantity(text) === null ? { want } : { value: text };
  };
  return { kind: "size", fallback: null, doc, read };
}

function duration(doc: string): Kind<string | null> {
  const want = 'a duration as in "1m30s" or a number of seconds, of at most 24h';
  const read: Kind<string | null>["read"] = (text) => {
    if (text === "") return { value: null };
    const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
    return ms !== null && ms >= 0 && ms <= DAY_SEC * 1000 ? { value: text } : { want };
  };
  return { kind: "duration", fallback: null, doc, read };
}

// No "$" in what becomes an argument: Kubernetes would put the value of a variable there for "$(NAME)".
const ADDRESS = { kind: "address", shape: /^[-A-Za-z0-9._:[\]%]{1,253}$/, want: "a host name or an IP address" };

const appId = shaped({
  kind: "app id",
  fallback: null,
  // Dapr allows what fits "<app id>-dapr" into 63 characters; it becomes a label's value too, which ends in no "-".
  shape: /^[a-z0-9](?:[-a-z0-9]{0,56}[a-z0-9])?$/,
  want: 'an app id: at most 58 of a-z, 0-9 and "-", a letter or digit at both ends',
  doc: "Name of the app; its keys begin with it. Without it the pod's name, which pods of a Deployment do not have yet.",
});

const SERVING = {
  enabled: row("a sidecar", {
    kind: "`true`, in any case",
    fallback: false,
    doc: "The pod gets a sidecar. Any other word, also `yes` and `1`, is no.",
    read: (text) => ({ value: text.toLowerCase() === "true" }),
  }),
  "app-id": row("`--app-id`, label `dapr.io/app-id`", appId),
  "app-port": row(
    "`--app-port`",
    whole<number | null>({ fallback: null, min: 0, max: PORT_MAX, doc: "Port on which the app listens; 0 for none." }),
  ),
  "app-protocol": row(
    "`--app-protocol`, variable `APP_PROTOCOL`",
    oneOf(["http", "https", "grpc", "grpcs", "h2c"], "http", "How the app is spoken to; told in metadata."),
  ),
  "app-ssl": row("`--app-ssl`", flag({ fallback: false, doc: "Deprecated: `app-protocol` `https` or `grpcs`." })),
  "app-channel-address": row(
    "`--app-channel-address`",
    shaped({ ...ADDRESS, fallback: null, doc: "Where the app listens; told in metadata." }),
  ),
  "app-max-concurrency": row(
    "`--app-max-concurrency`",
    whole<number | null>({
      fallback: null,
      min: -1,
      max: COUNT_MAX,
      doc: "Calls to the app at once; told in metadata.",
    }),
  ),
  config: row(
    "`--config`",
    objectName({
      fallback: null,
      what: "a Configuration",
      doc: "The Configuration of this pod, of its own namespace.",
    }),
  ),
  "log-level": row(
    "`--log-level`",
    oneOf(LOG_LEVELS, "info", "Lowest level that is logged.", { panic: "fatal", warning: "warn" }),
  ),
  "log-as-json": row("`--log-as-json`", flag({ fallback: false, doc: "Log lines as JSON." })),
  "enable-api-logging": row(
    "`--enable-api-logging`",
    openFlag(
      { fallback: null, doc: "One log line for each call. Without it the Configuration decides." },
      flag({ fallback: false, doc: "" }),
    ),
  ),
} satisfies Partial<AnnotationTable>;

const ADDRESSES_WANT = `IP addresses or host names, separated by commas, at most ${LIST_MAX}`;

const ADDRESSES = {
  "enable-metrics": row(
    "`--enable-metrics`, label `dapr.io/metrics-enabled`",
    flag({ fallback: true, doc: "Serve Prometheus metrics." }),
  ),
  "metrics-port": row("`--metrics-port`", port(9090, "Port of the metrics.")),
  "http-port": row("`--dapr-http-port`, variable `DAPR_HTTP_PORT`", port(3500, "Port of the HTTP API."), { own: true }),
  "grpc-port": row("`--dapr-grpc-port`, variable `DAPR_GRPC_PORT`", port(50_001, "Port of the gRPC API.")),
  "public-port": row("`--dapr-public-port`, probes", port(3501, "Port for health, which the probes ask."), {
    own: true,
  }),
  "sidecar-listen-addresses": row("`--dapr-listen-addresses`", {
    kind: "addresses",
    fallback: "[::1],127.0.0.1",
    doc: "Addresses or host names of the APIs, separated by commas; empty for all.",
    read: (text) => {
      const parts = text.split(",").map((part) => part.trim());
      const isGood = parts.length <= LIST_MAX && parts.every((part) => part === "" || isHost(part));
      return isGood ? { value: text } : { want: ADDRESSES_WANT };
    },
  }),
  "unix-domain-socket-path": row(
    "`--unix-domain-socket`, a volume",
    shaped({
      kind: "path",
      fallback: null,
      shape: /^\/[^:]{1,100}$/,
      want: 'an absolute path of at most 101 characters, without ":"',
      doc: "Folder in the app's containers where the APIs have unix sockets; then they have no ports.",
    }),
  ),
} satisfies Partial<AnnotationTable>;

const LIMITS = {
  "max-body-size": row("`--max-body-size`", size("Largest request body; `4Mi` by default.")),
  "http-max-request-size": row(
    "`--dapr-http-max-request-size`",
    whole<number | null>({ fallback: null, min: -1, max: COUNT_MAX, doc: "Deprecated: `max-body-size`. In MB." }),
  ),
  "read-buffer-size": row("`--read-buffer-size`", size("Largest head of a request; `4Ki` by default.")),
  "http-read-buffer-size": row(
    "`--dapr-http-read-buffer-size`",
    whole<number | null>({ fallback: null, min: -1, max: COUNT_MAX, doc: "Deprecated: `read-buffer-size`. In KB." }),
  ),
  "graceful-shutdown-seconds": row(
    "`--dapr-graceful-shutdown-seconds`",
    seconds(-1, -1, "How long calls in flight may take to end at shutdown; -1: five seconds."),
  ),
  "block-shutdown-duration": row(
    "`--dapr-block-shutdown-duration`",
    duration("Go on serving this long after the signal to end."),
  ),
} satisfies Partial<AnnotationTable>;

const probe = "part of the probe";

const CONTAINER = {
  "sidecar-image": row(
    "image",
    shaped({
      kind: "image",
      fallback: null,
      shape: /^[-A-Za-z0-9._:/@]{1,500}$/,
      want: "an image reference, as in registry.example/pannier:1.0",
      doc: "Another image for this pod; by default the injector's.",
    }),
  ),
  "sidecar-cpu-request": row(
    "resources",
    quantity({ fallback: null, example: "50m", doc: "By default the injector's, as the next three." }),
  ),
  "sidecar-cpu-limit": row("resources", quantity({ fallback: null, example: "1", doc: "" })),
  "sidecar-memory-request": row("resources", quantity({ fallback: null, example: "96Mi", doc: "" })),
  "sidecar-memory-limit": row("resources", quantity({ fallback: null, example: "512Mi", doc: "" })),
  "sidecar-liveness-probe-delay-seconds": row(probe, seconds(180, 0, "Liveness: from the start to the first probe.")),
  "sidecar-liveness-probe-timeout-seconds": row(probe, seconds(3, 1, "How long an answer may take.")),
  "sidecar-liveness-probe-period-seconds": row(probe, seconds(10, 1, "From one probe to the next.")),
  "sidecar-liveness-probe-threshold": row(probe, seconds(5, 1, "Failures in a row before a restart.")),
  "sidecar-readiness-probe-delay-seconds": row(probe, seconds(1, 0, "Readiness: from the start to the first probe.")),
  "sidecar-readiness-probe-timeout-seconds": row(probe, seconds(1, 1, "How long an answer may take.")),
  "sidecar-readiness-probe-period-seconds": row(probe, seconds(1, 1, "From one probe to the next.")),
  "sidecar-readiness-probe-threshold": row(probe, seconds(5, 1, "Failures in a row before the pod is not ready.")),
  "sidecar-seccomp-profile-type": row(
    "securityContext",
    oneOf(["RuntimeDefault", "Unconfined"], "RuntimeDefault", "What the container may ask of the kernel."),
  ),
  "enable-native-sidecar": row(
    "where the container stands",
    openFlag(
      {
        fallback: null,
        doc: "`true`: first init container; `false`: beside the app. By default the injector's choice.",
      },
      flag({ fallback: false, doc: "" }),
    ),
  ),
  env: row(
    "variables",
    variables({ reserved: RESERVED_VARIABLES, doc: "Variables of the sidecar. Values may hold commas." }),
    { hidden: true },
  ),
  "env-from-secret": row(
    "variables",
    secretVariables({
      reserved: RESERVED_VARIABLES,
      doc: "Variables of the sidecar from Secrets; `NAME=secret` stands for `NAME=secret:secret`.",
    }),
    { hidden: true },
  ),
  "api-token-secret": row(
    "variable `DAPR_API_TOKEN`",
    objectName({ fallback: null, what: "a Secret", doc: "Secret whose key `token` callers of the API must show." }),
  ),
  "app-token-secret": row(
    "variable `APP_API_TOKEN`",
    objectName({ fallback: null, what: "a Secret", doc: "Secret whose key `token` Dapr shows to the app." }),
  ),
  "volume-mounts": row("volume mounts", mounts({ doc: "The pod's volumes that the sidecar can read." })),
  "volume-mounts-rw": row("volume mounts", mounts({ doc: "The pod's volumes that the sidecar can write." })),
} satisfies Partial<AnnotationTable>;

const PLUGGABLE = {
  "pluggable-components": row(
    "a volume, variables",
    labelNames({ doc: "Containers of the pod that are [pluggable components](stores/pluggable.md#on-kubernetes)." }),
  ),
  "pluggable-components-sockets-folder": row(
    "where that volume is, variables",
    folder({ fallback: "/tmp/dapr-components-sockets", doc: "Folder of their sockets, in them and in the sidecar." }),
  ),
  "inject-pluggable-components": row(
    "containers",
    flag({
      fallback: false,
      doc: "Put in the containers that Components of the app name in their annotation `dapr.io/component-container`.",
    }),
  ),
} satisfies Partial<AnnotationTable>;

export const ANNOTATIONS: AnnotationTable = { ...SERVING, ...ADDRESSES, ...LIMITS, ...CONTAINER, ...PLUGGABLE };

const NO_DEBUGGER = "there is no debugger in the image";
const NO_PROBES = "the app's health is not probed";
const NO_CALLS = "sidecars do not call each other";

/** Annotations of Dapr that are taken and change nothing here, each with the reason. */
export const ANNOTATIONS_WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  "enable-profiling": "there is no profiling server",
  "enable-debug": NO_DEBUGGER,
  "debug-port": NO_DEBUGGER,
  "internal-grpc-port": NO_CALLS,
  "enable-app-health-check": NO_PROBES,
  "app-health-check-path": NO_PROBES,
  "app-health-probe-interval": NO_PROBES,
  "app-health-probe-timeout": NO_PROBES,
  "app-health-threshold": NO_PROBES,
  "app-binding-options-timeout": "there are no bindings",
  "actors-disseminate-timeout": "there is no placement",
  "placement-host-address": "there is no placement",
  "scheduler-host-address": "there is no scheduler",
  "disable-builtin-k8s-secret-store": "there is no API for secrets",
  "disable-init-endpoints": "the sidecar asks the app nothing when it starts",
  "sentry-request-jwt-audiences": "there is no Sentry",
  "component-container": "it belongs on a Component",
  "sidecar-svc-annotations": NO_CALLS,
};
