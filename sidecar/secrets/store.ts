// What the sidecar asks of a secret store: one secret by name. Knows no file, no variable and no Component.
import type { FieldTable, Property } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";

/** The parts of one secret by key. A secret that is a single text has one part, under its own name. */
export type Secret = Readonly<Record<string, string>>;

export interface SecretStore {
  /** Null when there is no such secret. */
  get(name: string): Promise<Secret | null>;
}

export interface SecretContext {
  /** The sidecar's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Components come from the operator, and Kubernetes' own secrets with them. */
  readonly inCluster: boolean;
}

/** Cannot be opened. The text names the file or field and never a part of a secret. */
export class SecretStoreError extends Error {
  override readonly name = "SecretStoreError";
}

export interface PreparedSecretStore {
  readonly faults: readonly Fault[];
  /** Rejects with a {@link SecretStoreError}. Only without error faults. */
  open(context: SecretContext): Promise<SecretStore>;
  /** Files whose change means that the store must be opened again. */
  readonly files: readonly string[];
}

export interface SecretStoreType {
  /** "secretstores.local.file" */
  readonly type: string;
  readonly fields: FieldTable<object>;
  prepare(properties: readonly Property[]): PreparedSecretStore;
}
