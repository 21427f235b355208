// The metadata entries of a Component as properties: secrets and variables looked up, templates filled in.
// A reference that leads nowhere is an error of that Component alone; no value of a secret comes into a fault.
import type { Component, MetadataEntry } from "#crds/component.ts";
import type { SecretPart } from "#crds/distribution.ts";
import type { Property, SecretReference } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";
import { broughtSecrets, findBrought, KUBERNETES } from "./brought.ts";
import type { SecretStore } from "./store.ts";
import { fillTemplates, type Templates } from "./templates.ts";
import { type Environment, refusal, variableValue } from "./variables.ts";

/** A secret store by Component name, or why there is none, as the end of a sentence. */
export type SecretLookup = (name: string) => Promise<SecretStore | { readonly missing: string }>;

export interface ResolveContext {
  readonly env: Environment;
  readonly templates: Templates;
  readonly secretStore: SecretLookup;
  /** The secrets that came with the Component: Kubernetes' own. Null outside a cluster, where there are none. */
  readonly brought: readonly SecretPart[] | null;
}

export interface Resolved {
  readonly properties: readonly Property[];
  readonly faults: readonly Fault[];
}

/** One property per entry, in order. With an error fault the properties are incomplete. */
export async function resolveProperties(component: Component, context: ResolveContext): Promise<Resolved> {
  const properties: Property[] = [];
  const faults: Fault[] = [];
  for (const entry of component.metadata) {
    const value = await lookUp(entry, component, context);
    const filled = typeof value === "string" ? fillTemplates(value, entry, context.templates) : value;
    if (typeof filled !== "string") faults.push(filled);
    else properties.push(propertyOf(entry, filled));
  }
  return { properties, faults };
}

/** The property that an entry becomes with its value. */
export function propertyOf({ name, source }: MetadataEntry, value: string): Property {
  if (source.kind !== "secret") return { name, value, secret: source.kind !== "value" };
  return { name, value, secret: true, secretRef: { name: source.name, key: source.key } };
}

function lookUp(entry: MetadataEntry, component: Component, context: ResolveContext): Promise<string | Fault> {
  const { source } = entry;
  if (source.kind === "value") return Promise.resolve(source.text);
  if (source.kind === "env") return Promise.resolve(readVariable(entry.name, source.variable, context.env));
  return readSecret(entry.name, source, component.secretStore, context);
}

function readVariable(field: string, variable: string, env: Environment): string | Fault {
  const refused = refusal(variable, env);
  if (refused !== null) return dangling(field, `an envRef to a variable that may be read, not ${variable}`, refused);
  const hint = "set it, if only to nothing, where the sidecar is started";
  return (
    variableValue(variable, env) ?? dangling(field, `the environment variable ${variable} (envRef) to be set`, hint)
  );
}

async function readSecret(
  field: string,
  reference: SecretReference,
  storeName: string | null,
  { brought, secretStore }: ResolveContext,
): Promise<string | Fault> {
  if (brought !== null && (storeName ?? KUBERNETES) === KUBERNETES) return takeBrought(field, reference, brought);
  if (storeName === null) {
    const hint = "outside Kubernetes there is no default: set auth.secretStore to the name of a secret store Component";
    return dangling(field, "auth.secretStore beside secretKeyRef", hint);
  }
  const store = await secretStore(storeName);
  if ("missing" in store)
    return dangling(field, `a secret store ${JSON.stringify(storeName)} (auth.secretStore)`, store.missing);
  if (store === broughtSecrets) return takeBrought(field, reference, brought ?? []);
  const secret = await store.get(reference.name);
  const at = `in secret store ${JSON.stringify(storeName)}`;
  if (secret === null)
    return dangling(field, `a secret ${JSON.stringify(reference.name)} ${at}`, "there is none of that name");
  const value = Object.hasOwn(secret, reference.key) ? secret[reference.key] : undefined;
  if (value !== undefined) return value;
  const near = nearest(reference.key, Object.keys(secret));
  const hint = near === null ? "the secret has other keys" : `did you mean ${near}?`;
  return dangling(
    field,
    `a key ${JSON.stringify(reference.key)} of secret ${JSON.stringify(reference.name)} ${at}`,
    hint,
  );
}

function takeBrought(field: string, reference: SecretReference, brought: readonly SecretPart[]): string | Fault {
  const found = findBrought(brought, reference);
  if ("value" in found) return found.value;
  const { name, key } = reference;
  const want = `a key ${JSON.stringify(key)} of secret ${JSON.stringify(name)} of Kubernetes`;
  return dangling(field, want, found.problem);
}

function dangling(field: string, want: string, hint: string): Fault {
  return { severity: "error", field, got: null, want, hint };
}
