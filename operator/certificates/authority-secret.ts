// The Secret that all replicas share the CA by: reading it, making it, and changing it only as it was read.
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/client.ts";
import type { KubeObject } from "../kube/object.ts";
import { type AuthorityState, fromSecretData, toSecretData } from "./authority-state.ts";

export const AUTHORITY_SECRET = "pannier-ca";
/** Set by a person: `kubectl annotate secret pannier-ca pannier.io/rotate=now`. The rotation takes it away. */
export const ROTATE_ANNOTATION = "pannier.io/rotate";

const LABELS = { "app.kubernetes.io/part-of": "pannier", "app.kubernetes.io/managed-by": "pannier-operator" };
const TYPE = "Opaque";

interface Secret extends KubeObject {
  readonly type?: string;
  readonly data?: Readonly<Record<string, string>>;
}

export interface FoundSecret {
  /** What it holds, or a sentence about what is wrong with it. */
  readonly holds: AuthorityState | string;
  /** A person asks for a rotation. */
  readonly isRotationAsked: boolean;
  readonly object: KubeObject;
}

export class AuthoritySecret {
  readonly #client: KubeClient;
  readonly #namespace: string;

  constructor(client: KubeClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  get place(): string {
    return `Secret ${this.#namespace}/${AUTHORITY_SECRET}`;
  }

  /** Null when it is not there. */
  async read(signal: AbortSignal): Promise<FoundSecret | null> {
    try {
      return found(await this.#client.request<Secret>({ method: "GET", path: this.#path, signal }));
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  /** Null when another was faster. */
  async create(state: AuthorityState, signal: AbortSignal): Promise<FoundSecret | null> {
    const metadata = { name: AUTHORITY_SECRET, namespace: this.#namespace, labels: LABELS };
    const body = { apiVersion: "v1", kind: "Secret", metadata, type: TYPE, data: encoded(state) };
    return await this.#unlessConflict({ method: "POST", path: this.#collection, body, signal });
  }

  /** Null when it has changed since it was read. */
  async replace(read: FoundSecret, state: AuthorityState, signal: AbortSignal): Promise<FoundSecret | null> {
    const { [ROTATE_ANNOTATION]: _asked, ...annotations } = read.object.metadata.annotations ?? {};
    const metadata = { ...read.object.metadata, annotations };
    const body = { apiVersion: "v1", kind: "Secret", metadata, type: TYPE, data: encoded(state) };
    return await this.#unlessConflict({ method: "PUT", path: this.#path, body, signal });
  }

  async #unlessConflict(request: Parameters<KubeClient["request"]>[0]): Promise<FoundSecret | null> {
    try {
      return found(await this.#client.request<Secret>(request));
    } catch (error) {
      // 409: AlreadyExists for a new one, Conflict for a changed one; 404: it went away in between.
      if (error instanceof KubeError && (error.status === 409 || error.status === 404)) return null;
      throw error;
    }
  }

  get #collection(): string {
    return `/api/v1/namespaces/${this.#namespace}/secrets`;
  }

  get #path(): string {
    return `${this.#collection}/${AUTHORITY_SECRET}`;
  }
}

function found(secret: Secret): FoundSecret {
  const data = Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]);
  return {
    holds: fromSecretData(Object.fromEntries(data)),
    isRotationAsked: secret.metadata.annotations?.[ROTATE_ANNOTATION] !== undefined,
    object: { apiVersion: "v1", kind: "Secret", metadata: secret.metadata },
  };
}

function encoded(state: AuthorityState): Readonly<Record<string, string>> {
  const data = Object.entries(toSecretData(state)).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
  return Object.fromEntries(data);
}
