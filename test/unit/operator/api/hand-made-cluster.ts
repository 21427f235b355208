// What the tests of the distribution API ask instead of an API server, at the border of KubeClient: pods, tokens that are
// bound to them, and how often each was asked for. test/kube/distribution.test.ts does the same with a real one.
import { TOKEN_AUDIENCE } from "#crds/distribution.ts";
import { createLog } from "#kit/log.ts";
import { type KubeClient, KubeError, type KubeRequest } from "#operator/kube/client.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { ObjectCache } from "#operator/kube/object-cache.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";

export interface Pod extends KubeObject {
  readonly status: { readonly phase: string };
}

export interface PodParts {
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly phase?: string;
  readonly deletionTimestamp?: string;
}

/** What a TokenReview's status says. */
export type Reviewed = Readonly<Record<string, unknown>>;

export class HandMadeCluster implements KubeClient {
  readonly cache: ObjectCache<KubeObject>;
  readonly reviews: string[] = [];
  readonly podsAsked: string[] = [];
  readonly tokens: Map<string, Reviewed> = new Map();
  /** Every request fails with it. */
  failure: KubeError | null = null;
  readonly #pods = new Map<string, Pod>();
  #made = 0;

  constructor() {
    const write = (): void => undefined;
    const about = { level: "fatal", json: true, appId: "", instance: "", version: "", nowMs: () => 0 } as const;
    const log = createLog({ ...about, write });
    this.cache = new ObjectCache({ resource: "pods", parts: [""], log, metrics: noOperatorMetrics });
    this.cache.replace("", []);
  }

  /** Makes or replaces a pod; `watched` false: the watch has not told of it yet. */
  put(parts: PodParts = {}, watched = true): Pod {
    const { namespace = "shop", name = "cart-1", annotations = { "dapr.io/app-id": "cart" } } = parts;
    const uid = parts.uid ?? `uid-${namespace}-${name}`;
    const metadata = {
      namespace,
      name,
      uid,
      resourceVersion: String(++this.#made),
      annotations,
      labels: parts.labels ?? {},
      ...(parts.deletionTimestamp === undefined ? {} : { deletionTimestamp: parts.deletionTimestamp }),
    };
    const pod: Pod = { metadata, status: { phase: parts.phase ?? "Running" } };
    this.#pods.set(`${namespace}/${name}`, pod);
    if (watched) this.cache.put(pod);
    return pod;
  }

  remove({ metadata }: Pod, watched = true): void {
    const key = `${metadata.namespace}/${metadata.name}`;
    this.#pods.delete(key);
    if (watched) this.cache.remove(key);
  }

  /** A token bound to the pod, of the service account `default` or another. */
  token(
    { metadata }: Pod,
    changes: { readonly account?: string; readonly audiences?: readonly string[] } = {},
  ): string {
    const token = `head.${Buffer.from(metadata.uid).toString("base64url")}.${++this.#made}`;
    this.tokens.set(token, {
      authenticated: true,
      audiences: changes.audiences ?? [TOKEN_AUDIENCE],
      user: {
        username: `system:serviceaccount:${metadata.namespace}:${changes.account ?? "default"}`,
        extra: {
          "authentication.kubernetes.io/pod-name": [metadata.name],
          "authentication.kubernetes.io/pod-uid": [metadata.uid],
        },
      },
    });
    return token;
  }

  async request<T>({ path, body }: KubeRequest): Promise<T> {
    if (this.failure !== null) throw this.failure;
    if (path.endsWith("/tokenreviews")) return this.#review(body) as T;
    const [, namespace = "", name = ""] = /^\/api\/v1\/namespaces\/([^/]+)\/pods\/([^/]+)$/.exec(path) ?? [];
    this.podsAsked.push(`${namespace}/${name}`);
    const pod = this.#pods.get(`${namespace}/${name}`);
    if (pod === undefined) throw kubeError(404);
    return pod as T;
  }

  stream(): Promise<AsyncIterable<Buffer>> {
    return Promise.reject(kubeError(404));
  }

  close(): void {
    this.#pods.clear();
  }

  #review(body: unknown): unknown {
    const { spec } = body as { readonly spec: { readonly token: string } };
    this.reviews.push(spec.token);
    return { status: this.tokens.get(spec.token) ?? { authenticated: false, error: "no such token" } };
  }
}

export function kubeError(status: number): KubeError {
  return new KubeError(`answered ${status}`, { status, reason: null, retryAfterMs: null });
}
