// The operator's command line as settings, or the reason why not. The only reader of it and of the environment; prints,
// starts and ends nothing.
import {
  booleanFlag,
  durationFlag,
  type Flag,
  type FlagTable,
  listFlag,
  parseArguments,
  textFlag,
  wholeFlag,
  wordFlag,
} from "#kit/arguments.ts";
import { LOG_LEVELS, type LogLevel } from "#kit/log.ts";
import { SIDECAR_FLAGS, type SidecarFlags } from "./inject/flags.ts";

export interface OperatorFlags extends SidecarFlags {
  namespace: string;
  "pod-name": string;
  "pod-ip": string;
  release: string;
  "service-name": string;
  "service-account": string;
  "cluster-domain": string;
  "control-plane-address": string;
  chart: string;
  "secret-namespaces": readonly string[];
  "webhook-name": string;
  "watch-namespaces": readonly string[];
  kubeconfig: string;
  "webhook-port": number;
  "api-port": number;
  "metrics-port": number;
  "health-port": number;
  "certificates-folder": string;
  "certificate-names": readonly string[];
  "trust-bundle": boolean;
  "identity-token-file": string;
  "leader-elect": boolean;
  "drain-timeout": number;
  "sidecar-image": string;
  "sidecar-image-pull-policy": string;
  "native-sidecar": "auto" | "true" | "false";
  "excluded-namespaces": readonly string[];
  "dapr-annotation": boolean;
  "log-level": LogLevel;
  "log-as-json": boolean;
  help: boolean;
  version: boolean;
}

const port = { placeholder: "PORT", min: 0, max: 65_535 };

export const OPERATOR_FLAGS: FlagTable<OperatorFlags> = {
  namespace: textFlag({
    placeholder: "NAME",
    doc: "Namespace of the operator; of the variable NAMESPACE when empty.",
    fallback: "",
  }),
  "pod-name": textFlag({
    placeholder: "NAME",
    doc: "Its pod; of POD_NAME when empty, else the host name.",
    fallback: "",
  }),
  "pod-ip": textFlag({ placeholder: "ADDRESS", doc: "Where replicas reach it; of POD_IP when empty.", fallback: "" }),
  release: textFlag({ placeholder: "NAME", doc: "Helm release, for the commands in messages.", fallback: "pannier" }),
  "service-name": textFlag({ placeholder: "NAME", doc: "Its Service.", fallback: "pannier-operator" }),
  "service-account": textFlag({ placeholder: "NAME", doc: "Its service account.", fallback: "pannier-operator" }),
  "cluster-domain": textFlag({ placeholder: "DOMAIN", doc: "Domain of the cluster's DNS.", fallback: "cluster.local" }),
  "control-plane-address": textFlag({
    placeholder: "HOST:PORT",
    doc: "Where sidecars find it; its Service at port 6500 when empty.",
    fallback: "",
  }),
  chart: textFlag({
    placeholder: "CHART",
    doc: "Helm chart, for the commands in messages.",
    fallback: "charts/pannier",
  }),
  "secret-namespaces": listFlag({
    placeholder: "NAME[,NAME …]",
    doc: "Namespaces whose Secrets it may read by the chart's values, for the commands in messages.",
  }),
  "webhook-name": textFlag({
    placeholder: "NAME",
    doc: "MutatingWebhookConfiguration whose caBundle it keeps; empty for none.",
    fallback: "",
  }),
  "watch-namespaces": listFlag({
    placeholder: "NAME[,NAME …]",
    doc: "Namespaces whose resources and pods count; all when there is none.",
  }),
  kubeconfig: textFlag({ placeholder: "FILE", doc: "Outside a cluster: how to reach the API server.", fallback: "" }),
  "webhook-port": wholeFlag({ ...port, doc: "Port of the webhook, HTTPS.", fallback: 8443 }),
  "api-port": wholeFlag({ ...port, doc: "Port for the sidecars, HTTPS.", fallback: 6500 }),
  "metrics-port": wholeFlag({ ...port, doc: "Port of /metrics, HTTP.", fallback: 9090 }),
  "health-port": wholeFlag({ ...port, doc: "Port of /healthz and /readyz, HTTP.", fallback: 8080 }),
  "certificates-folder": textFlag({
    placeholder: "FOLDER",
    doc: "Folder with tls.crt, tls.key and ca.crt of somebody else's making; empty: the operator makes its own.",
    fallback: "",
  }),
  "certificate-names": listFlag({
    placeholder: "NAME[,NAME …]",
    doc: "Names in its own certificate besides those of its Service.",
  }),
  "trust-bundle": booleanFlag({
    doc: "Write the trust anchors as a ConfigMap into namespaces with sidecars.",
    fallback: true,
  }),
  "identity-token-file": textFlag({
    placeholder: "FILE",
    doc: "Its own projected token, for replicas to know each other.",
    fallback: "/var/run/secrets/pannier.io/identity/token",
  }),
  "leader-elect": booleanFlag({ doc: "Share the work with other replicas by a Lease.", fallback: true }),
  "drain-timeout": durationFlag({
    placeholder: "DURATION",
    doc: "How long to go on answering after SIGTERM.",
    fallback: 10_000,
    max: 300_000,
    shownDefault: "10s",
  }),
  "sidecar-image": textFlag({ placeholder: "IMAGE", doc: "Image of injected sidecars.", fallback: "" }),
  "sidecar-image-pull-policy": textFlag({ placeholder: "POLICY", doc: "Its pull policy.", fallback: "IfNotPresent" }),
  ...asSentences(SIDECAR_FLAGS),
  "native-sidecar": wordFlag({
    words: ["auto", "true", "false"],
    doc: "Native sidecars; auto: from Kubernetes 1.29 on.",
    fallback: "auto",
  }),
  "excluded-namespaces": listFlag({
    placeholder: "NAME[,NAME …]",
    doc: "Namespaces that are never injected, besides kube-system and its own.",
  }),
  "dapr-annotation": booleanFlag({
    doc: "Pods with dapr.io/enabled are Pannier's; false beside Dapr, where only pannier.io/enabled counts.",
    fallback: true,
  }),
  "log-level": wordFlag({ words: LOG_LEVELS, doc: "Log level of the operator.", fallback: "info" }),
  "log-as-json": booleanFlag({ doc: "Log JSON.", fallback: true }),
  help: booleanFlag({ doc: "Show this and end.", fallback: false, short: "h" }),
  version: booleanFlag({ doc: "Show the version and end.", fallback: false }),
};

/** With docs as the operator's help has them; those of `pannier inject` are phrases. */
function asSentences<S extends object>(table: FlagTable<S>): FlagTable<S> {
  const sentence = (doc: string): string => `${doc.charAt(0).toUpperCase()}${doc.slice(1)}.`;
  const rows = Object.entries(table as Readonly<Record<string, Flag<unknown>>>);
  // The same rows under the same names.
  return Object.fromEntries(rows.map(([name, row]) => [name, { ...row, doc: sentence(row.doc) }])) as FlagTable<S>;
}

/** The variables that the operator reads; `process.env` fits. */
export interface OperatorEnvironment {
  readonly NAMESPACE?: string | undefined;
  readonly POD_NAME?: string | undefined;
  readonly POD_IP?: string | undefined;
}

export type OperatorRequest =
  | { readonly asks: "serve"; readonly flags: Readonly<OperatorFlags> }
  | { readonly asks: "help" | "version" }
  /** The command line cannot be used: exit code 2. */
  | { readonly asks: "usage"; readonly error: string };

/** Reads the command line without the program's name. `hostName` stands for a pod's name that nobody gives. */
export function readOperatorFlags(
  argv: readonly string[],
  env: OperatorEnvironment,
  hostName: string,
): OperatorRequest {
  const parsed = parseArguments({ flags: OPERATOR_FLAGS, ignored: {}, stopAtWord: false }, argv);
  if ("error" in parsed) return { asks: "usage", error: parsed.error };
  const { values, words } = parsed;
  if (values.help) return { asks: "help" };
  if (values.version) return { asks: "version" };
  const [stray] = words;
  if (stray !== undefined) return { asks: "usage", error: `got ${JSON.stringify(stray)}, want flags only` };
  const flags = {
    ...values,
    namespace: values.namespace || (env.NAMESPACE ?? ""),
    "pod-name": values["pod-name"] || (env.POD_NAME ?? hostName),
    "pod-ip": values["pod-ip"] || (env.POD_IP ?? ""),
  };
  if (flags.namespace === "")
    return { asks: "usage", error: "--namespace is missing: want the namespace of the operator, or NAMESPACE set" };
  if (flags["sidecar-image"] === "")
    return { asks: "usage", error: "--sidecar-image is missing: want the image that sidecars run" };
  return { asks: "serve", flags: Object.freeze(flags) };
}
