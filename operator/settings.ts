// The operator's flags as what its parts want to know. Reads no flag and no environment itself.
import type { OperatorFlags } from "./flags.ts";
import { sidecarSettings } from "./inject/flags.ts";
import { defaultSettings, type InjectSettings } from "./inject/settings.ts";

/** Native sidecars are on by default from this minor version of Kubernetes 1 on (dapr-kubernetes.md 5.1). */
const NATIVE_FROM_MINOR = 29;

/** A flag whose value cannot be used, with what was wanted. */
export class FlagError extends Error {
  override readonly name = "FlagError";
}

/** `minor`: of the API server's version. Throws a {@link FlagError}. */
export function injectSettings(flags: Readonly<OperatorFlags>, minor: number): InjectSettings {
  const defaults = defaultSettings(flags.namespace);
  const supported = minor >= NATIVE_FROM_MINOR;
  const watched = flags["watch-namespaces"];
  return {
    ...defaults,
    ...sidecarSettings(flags),
    image: flags["sidecar-image"],
    imagePullPolicy: pullPolicy(flags["sidecar-image-pull-policy"]),
    nativeSidecars: { supported, byDefault: supported && flags["native-sidecar"] !== "false" },
    controlPlaneAddress: flags["control-plane-address"] || `${flags["service-name"]}.${flags.namespace}.svc:6500`,
    namespaces: watched.length === 0 ? null : watched,
    excludedNamespaces: [...new Set([...defaults.excludedNamespaces, ...flags["excluded-namespaces"]])],
  };
}

/** The names by which API server, sidecars and other replicas reach the operator; the first is the webhook's. */
export function serviceNames(flags: Readonly<OperatorFlags>): readonly string[] {
  const name = `${flags["service-name"]}.${flags.namespace}.svc`;
  const other = [`${name}.${flags["cluster-domain"]}`, `${flags["service-name"]}.${flags.namespace}`];
  return [name, ...other, ...flags["certificate-names"]];
}

/** Of those, the names that a certificate of somebody else's making has to be for: the others are never called by ours. */
export function requiredNames(flags: Readonly<OperatorFlags>): readonly string[] {
  return [...serviceNames(flags).slice(0, 1), ...flags["certificate-names"]];
}

const PULL_POLICIES = ["Always", "IfNotPresent", "Never"] as const;

function pullPolicy(text: string): InjectSettings["imagePullPolicy"] {
  const found = PULL_POLICIES.find((each) => each === text);
  if (found === undefined) {
    throw new FlagError(`--sidecar-image-pull-policy: got ${JSON.stringify(text)}, want ${PULL_POLICIES.join(", ")}`);
  }
  return found;
}
