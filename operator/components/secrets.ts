// What a Component's references to Secrets come to (dapr-kubernetes.md 3.2): parts for the sidecars and a verdict for the
// status. Pure: reads no Secret itself. No value of one is in a verdict or a problem.
import type { Component } from "#crds/component.ts";
import type { SecretPart } from "#crds/distribution.ts";
import type { ReasonOf, Verdict } from "./status.ts";

export interface SecretReference {
  readonly name: string;
  /** The Secret's name when the manifest gives none. */
  readonly key: string;
}

/** What asking for a Secret came to. */
export type SecretReading =
  /** `data` as Kubernetes keeps it: base64. */
  | { readonly outcome: "found"; readonly data: Readonly<Record<string, string>> }
  | { readonly outcome: "absent" | "forbidden" }
  /** `why`: the end of a sentence. */
  | { readonly outcome: "unavailable"; readonly why: string };

/** What `auth.secretStore` calls the cluster's own Secrets; absent means the same. */
export const CLUSTER_STORE = "kubernetes";
export const CLUSTER_STORE_TYPE = "secretstores.kubernetes";

/** Each once, in the order of the manifest. */
export function referencesOf({ metadata }: Component): readonly SecretReference[] {
  const references = metadata.flatMap(({ source }) =>
    source.kind === "secret" ? [{ name: source.name, key: source.key }] : [],
  );
  return [...new Map(references.map((each) => [`${each.name}/${each.key}`, each])).values()];
}

/** Whether a Secret can have it: a DNS subdomain. Any other name is not asked for, and never gets into a path. */
export function isSecretName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name);
}

export interface Resolution {
  readonly parts: readonly SecretPart[];
  readonly verdict: Verdict<ReasonOf<"SecretsResolved">>;
}

/** `grant`: the command that lets the operator read the namespace's Secrets. */
export interface ResolveContext {
  readonly namespace: string;
  readonly grant: string;
}

/** One part per reference, resolved or not. The verdict tells the first that is not, and how many more there are. */
export function resolve(
  references: readonly SecretReference[],
  readings: ReadonlyMap<string, SecretReading>,
  context: ResolveContext,
): Resolution {
  if (references.length === 0) return { parts: [], verdict: NO_SECRETS };
  const found = references.map((reference) => resolveOne(reference, readings.get(reference.name), context));
  const failed = found.flatMap(({ failure }) => (failure === null ? [] : [failure]));
  return { parts: found.map(({ part }) => part), verdict: verdictOf(failed, references.length) };
}

export const NO_SECRETS: Verdict<"NoSecrets"> = {
  status: "True",
  reason: "NoSecrets",
  message: "the manifest refers to no secret",
};

/** Of a Component whose secrets come out of a secret store that the sidecars open. */
export function resolvedInSidecar(secretStore: string): Resolution {
  const message = `its sidecars ask the secret store ${JSON.stringify(secretStore)} themselves`;
  return { parts: [], verdict: { status: "Unknown", reason: "ResolvedInSidecar", message } };
}

interface Failure {
  readonly reason: "SecretNotFound" | "KeyNotFound" | "Forbidden" | "Unavailable";
  readonly problem: string;
  readonly advice: string;
}

function verdictOf(failed: readonly Failure[], count: number): Resolution["verdict"] {
  const [first, ...others] = failed;
  if (first === undefined)
    return { status: "True", reason: "Resolved", message: `${count} of ${count} references to secrets resolved` };
  const more = others.length === 0 ? "" : ` (${others.length} more of ${count} references fail too)`;
  return { status: "False", reason: first.reason, message: `${first.problem}: ${first.advice}${more}` };
}

function resolveOne(
  { name, key }: SecretReference,
  reading: SecretReading | undefined,
  context: ResolveContext,
): { readonly part: SecretPart; readonly failure: Failure | null } {
  const value = reading?.outcome === "found" && Object.hasOwn(reading.data, key) ? reading.data[key] : undefined;
  if (value !== undefined) return { part: { name, key, value }, failure: null };
  const failure = failureOf({ name, key }, reading, context);
  return { part: { name, key, problem: failure.problem }, failure };
}

function failureOf(
  { name, key }: SecretReference,
  reading: SecretReading | undefined,
  { namespace, grant }: ResolveContext,
): Failure {
  const shown = JSON.stringify(name);
  if (!isSecretName(name)) {
    const problem = `${shown} is no name that a Secret can have`;
    return { reason: "SecretNotFound", problem, advice: "mend secretKeyRef.name" };
  }
  switch (reading?.outcome) {
    case "found": {
      const problem = `Secret ${shown} in namespace ${namespace} has no key ${JSON.stringify(key)}`;
      return { reason: "KeyNotFound", problem, advice: "add the key, or name another one in secretKeyRef.key" };
    }
    case "absent": {
      const problem = `there is no Secret ${shown} in namespace ${namespace}`;
      return { reason: "SecretNotFound", problem, advice: "create it; it is taken up by itself" };
    }
    case "forbidden": {
      const problem = `the operator may not read Secrets in namespace ${namespace}`;
      return { reason: "Forbidden", problem, advice: `grant it with: ${grant}` };
    }
    default: {
      const problem = `Secret ${shown} in namespace ${namespace} could not be read`;
      const why = reading === undefined ? "it was not asked for" : reading.why;
      return { reason: "Unavailable", problem, advice: `${why}; the operator tries again by itself` };
    }
  }
}
