// Kubernetes' own secrets: looked up by the operator and brought with the Component that refers to them, so that no pod
// needs the right to read one. Knows no connection and no API server.
import type { SecretPart } from "#crds/distribution.ts";
import { decodeFields, type FieldTable, type SecretReference } from "#crds/fields.ts";
import { type SecretStore, SecretStoreError, type SecretStoreType } from "./store.ts";

/** The name of `auth.secretStore` that means them in a cluster, as none does (dapr-kubernetes.md 3.2). */
export const KUBERNETES = "kubernetes";

/** Stands for them among the secret stores: what it holds differs from Component to Component. */
export const broughtSecrets: SecretStore = { get: () => Promise.resolve(null) };

const fields: FieldTable<object> = {};

/** secretstores.kubernetes: in a cluster another name for what `kubernetes` means anyway. */
export const kubernetes: SecretStoreType = {
  type: "secretstores.kubernetes",
  fields,
  prepare(properties) {
    const { faults } = decodeFields(fields, properties, { others: [], page: "docs/secrets.md" });
    return { faults, files: [], open: ({ inCluster }) => (inCluster ? Promise.resolve(broughtSecrets) : noCluster()) };
  },
};

function noCluster(): Promise<SecretStore> {
  return Promise.reject(new SecretStoreError("want --mode kubernetes: only in a cluster there is somebody to ask"));
}

/** The value of a reference, or why there is none, as the end of a sentence. */
export function findBrought(
  parts: readonly SecretPart[],
  { name, key }: SecretReference,
): { readonly value: string } | { readonly problem: string } {
  const part = parts.find((each) => each.name === name && each.key === key);
  if (part === undefined)
    return { problem: `the operator sent none; it looks up those of auth.secretStore ${KUBERNETES}, or of none` };
  if ("problem" in part) return part;
  return { value: Buffer.from(part.value, "base64").toString("utf8") };
}
