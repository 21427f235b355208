// What the tests on a node put into it: objects for `kubectl apply`, all of which keep to pod security "restricted".
import { readFileSync } from "node:fs";
import { VERSION } from "#kit/version.ts";

export type Manifest = Readonly<Record<string, unknown>>;
export type Annotations = Readonly<Record<string, string>>;

const APP_CODE = readFileSync(new URL("app.mjs", import.meta.url), "utf8");
const CODE_VOLUME = "code";

/** A namespace that takes no pod of less security. */
export function restrictedNamespace(name: string): Manifest {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "pod-security.kubernetes.io/enforce": "restricted" } },
  };
}

export function secret(name: string, stringData: Readonly<Record<string, string>>): Manifest {
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData };
}

export function component(
  name: string,
  metadata: readonly object[],
  { type = "state.redis" }: { type?: string } = {},
): Manifest {
  const spec = { type, version: "v1", metadata };
  return { apiVersion: "dapr.io/v1alpha1", kind: "Component", metadata: { name }, spec };
}

/** One pod of app.mjs with a sidecar, and its code. */
export function app(name: string, annotations: Annotations = {}): readonly Manifest[] {
  const template = podTemplate(name, { command: ["/usr/bin/node", "/code/app.mjs"], annotations });
  const spec = { selector: { matchLabels: { app: name } }, template };
  return [
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: CODE_VOLUME }, data: { "app.mjs": APP_CODE } },
    { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec },
  ];
}

/** Runs this program once, beside a sidecar. */
export function job(name: string, program: string): Manifest {
  const command = ["/usr/bin/node", "--input-type=module", "--eval", program];
  const template = podTemplate(name, { command, restartPolicy: "Never" });
  return { apiVersion: "batch/v1", kind: "Job", metadata: { name }, spec: { backoffLimit: 0, template } };
}

/** A pod without a controller, for what the webhook says of it. */
export function pod(name: string, annotations: Annotations): Manifest {
  const { spec } = podTemplate(name, { command: ["/usr/bin/node", "/code/app.mjs"] });
  return { apiVersion: "v1", kind: "Pod", metadata: { name, annotations }, spec };
}

interface PodOptions {
  readonly command: readonly string[];
  readonly annotations?: Annotations;
  readonly restartPolicy?: "Always" | "Never";
}

function podTemplate(name: string, { command, annotations = {}, restartPolicy = "Always" }: PodOptions) {
  const container = {
    name: "app",
    image: `pannier:${VERSION}`,
    command,
    ...(restartPolicy === "Always"
      ? { readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 } }
      : {}),
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
    volumeMounts: [{ name: CODE_VOLUME, mountPath: "/code", readOnly: true }],
  };
  return {
    metadata: {
      labels: { app: name },
      annotations: { "dapr.io/enabled": "true", "dapr.io/app-id": name, ...annotations },
    },
    spec: {
      ...podSpec([container]),
      restartPolicy,
      volumes: [{ name: CODE_VOLUME, configMap: { name: CODE_VOLUME, optional: true } }],
    },
  };
}

/** One Redis with its Service. Whoever uses it sets the password, so that it is in no manifest. */
export function redis(): readonly Manifest[] {
  const [metadata, labels, port] = [{ name: "redis" }, { app: "redis" }, 6379];
  const container = {
    name: "redis",
    image: "redis:7-alpine",
    args: ["--save", "", "--appendonly", "no"],
    readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  };
  const template = { metadata: { labels }, spec: podSpec([container]) };
  return [
    { apiVersion: "v1", kind: "Service", metadata, spec: { selector: labels, ports: [{ port }] } },
    { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { selector: { matchLabels: labels }, template } },
  ];
}

function podSpec(containers: readonly object[]) {
  const securityContext = { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } };
  return { terminationGracePeriodSeconds: 5, securityContext, containers };
}
