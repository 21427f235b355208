// Keeps the ConfigMap with the trust anchors in each namespace with sidecars, where their pods mount it.
import { TRUST_ANCHORS_FILE, TRUST_BUNDLE_NAME } from "#crds/distribution.ts";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { type KubeClient, KubeError, PATCH_TYPES } from "../kube/client.ts";
import type { KubeObject } from "../kube/object.ts";
import { Rounds } from "./rounds.ts";
import type { CertificateSource } from "./source.ts";

/** How often all of them are looked at again, in milliseconds. */
export const TRUST_BUNDLE_CHECK_MS = 60_000;
const RETRY_MS = 20_000;
/** Namespaces that are looked at at once. */
const PARALLEL = 4;
const FIELD_MANAGER = "pannier-trust";
const LABELS = { "app.kubernetes.io/part-of": "pannier", "app.kubernetes.io/managed-by": "pannier-operator" };

/** Names of the namespaces that have sidecars, and word of their changes. */
export interface Namespaces {
  current(): ReadonlySet<string>;
  /** Gives its end. */
  onChange(listener: () => void): () => void;
}

/** A cluster-wide object that goes when Pannier is uninstalled, and takes what it owns with it. */
export interface Owner {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface TrustBundlesOptions {
  readonly client: KubeClient;
  readonly namespaces: Namespaces;
  readonly source: Pick<CertificateSource, "trustAnchors" | "onChange">;
  readonly owner: () => Owner | null;
  /** Only the leader writes. */
  readonly mayWrite: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

export class TrustBundles {
  readonly #options: TrustBundlesOptions;
  readonly #rounds: Rounds;
  readonly #unfollow: readonly (() => void)[];
  /** By namespace: the anchors that it has for sure, since the last look at all of them. */
  #known = new Map<string, string>();
  #lookedAtAllMs: number;
  /** Namespaces whose failure is told already. */
  readonly #failing = new Set<string>();

  constructor(options: TrustBundlesOptions) {
    this.#options = options;
    this.#lookedAtAllMs = options.clock.monotonicMs();
    this.#rounds = new Rounds({
      clock: options.clock,
      everyMs: TRUST_BUNDLE_CHECK_MS,
      retryMs: RETRY_MS,
      round: (signal) => this.#keep(signal),
      // Each namespace's own failure is told where it happens.
      failed: (error) => options.log.debug("certificates: trust bundles are missing", { error: String(error) }),
    });
    const ask = (): void => void this.#rounds.ask();
    this.#unfollow = [options.source.onChange(ask), options.namespaces.onChange(ask)];
  }

  /** Looks at what is new or changed; resolves when that is over, well or badly. */
  check(): Promise<void> {
    return this.#rounds.ask();
  }

  close(): Promise<void> {
    for (const end of this.#unfollow) end();
    return this.#rounds.close();
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { clock, mayWrite, namespaces, source } = this.#options;
    if (!mayWrite()) {
      this.#known.clear();
      return;
    }
    if (clock.monotonicMs() - this.#lookedAtAllMs >= TRUST_BUNDLE_CHECK_MS) {
      this.#known.clear();
      this.#lookedAtAllMs = clock.monotonicMs();
    }
    const { trustAnchors } = source;
    const wanted = namespaces.current();
    for (const known of this.#known.keys()) if (!wanted.has(known)) this.#known.delete(known);
    const left = [...wanted].filter((namespace) => this.#known.get(namespace) !== trustAnchors);
    const failures: string[] = [];
    const worker = async (): Promise<void> => {
      for (let next = left.pop(); next !== undefined && !signal.aborted; next = left.pop()) {
        if (!(await this.#keepIn(next, trustAnchors, signal))) failures.push(next);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    if (failures.length > 0) throw new Error(`not written in ${failures.sort().slice(0, 10).join(", ")}`);
  }

  /** Gives whether the namespace has the bundle now. A failure here keeps none of its neighbours from theirs. */
  async #keepIn(namespace: string, trustAnchors: string, signal: AbortSignal): Promise<boolean> {
    try {
      if ((await this.#read(namespace, signal)) !== trustAnchors) await this.#write(namespace, trustAnchors, signal);
      this.#known.set(namespace, trustAnchors);
      this.#failing.delete(namespace);
      return true;
    } catch (error) {
      if (!this.#failing.has(namespace) && !signal.aborted) {
        this.#failing.add(namespace);
        const message = error instanceof Error ? error.message : String(error);
        this.#options.log.warn("certificates: trust bundle not written", { namespace, error: message });
      }
      return false;
    }
  }

  async #read(namespace: string, signal: AbortSignal): Promise<string | null> {
    try {
      const found = await this.#options.client.request<ConfigMap>({ method: "GET", path: pathIn(namespace), signal });
      return found.data?.[TRUST_ANCHORS_FILE] ?? null;
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  async #write(namespace: string, trustAnchors: string, signal: AbortSignal): Promise<void> {
    const owner = this.#options.owner();
    const metadata = {
      name: TRUST_BUNDLE_NAME,
      namespace,
      labels: LABELS,
      ...(owner === null ? {} : { ownerReferences: [owner] }),
    };
    await this.#options.client.request({
      method: "PATCH",
      path: pathIn(namespace),
      query: { fieldManager: FIELD_MANAGER, force: "true" },
      contentType: PATCH_TYPES.apply,
      body: { apiVersion: "v1", kind: "ConfigMap", metadata, data: { [TRUST_ANCHORS_FILE]: trustAnchors } },
      signal,
    });
    this.#options.log.debug("certificates: trust bundle written", { namespace });
  }
}

function pathIn(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps/${TRUST_BUNDLE_NAME}`;
}
