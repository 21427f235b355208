// Keeps the caBundle of the MutatingWebhookConfiguration, so that the API server trusts the webhook's certificate.
// Applies that field alone: all the others are the chart's.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { type KubeClient, KubeError, PATCH_TYPES } from "../kube/client.ts";
import type { KubeObject } from "../kube/object.ts";
import { Rounds } from "./rounds.ts";
import type { CertificateSource } from "./source.ts";

/** How often it is looked whether somebody else has changed it, in milliseconds: no pod starts while it is wrong. */
export const CA_BUNDLE_CHECK_MS = 10_000;
const RETRY_MS = 2_000;
const FIELD_MANAGER = "pannier-webhook";
const API_VERSION = "admissionregistration.k8s.io/v1";
const KIND = "MutatingWebhookConfiguration";

interface Configuration extends KubeObject {
  readonly webhooks?: readonly { readonly name: string; readonly clientConfig: { readonly caBundle?: string } }[];
}

export interface CaBundleOptions {
  readonly client: KubeClient;
  /** Of the MutatingWebhookConfiguration. */
  readonly name: string;
  readonly source: Pick<CertificateSource, "trustAnchors" | "onChange">;
  /** Only the leader writes; every replica looks. */
  readonly mayWrite: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export class CaBundle {
  readonly #options: CaBundleOptions;
  readonly #rounds: Rounds;
  readonly #unfollow: () => void;
  /** What all the webhooks had when they were last looked at, PEM; null while that is not known or not one. */
  #published: string | null = null;
  #uid: string | null = null;
  #lastFailure = "";

  constructor(options: CaBundleOptions) {
    this.#options = options;
    this.#rounds = new Rounds({
      clock: options.clock,
      everyMs: CA_BUNDLE_CHECK_MS,
      retryMs: RETRY_MS,
      round: (signal) => this.#keep(signal),
      failed: (error) => this.#failed(error),
    });
    this.#unfollow = options.source.onChange(() => void this.#rounds.ask());
  }

  /** Whether every webhook had exactly this bundle when last looked at. */
  isPublished(trustAnchors: string): boolean {
    return this.#published === trustAnchors;
  }

  /** Of the configuration, for others to be owned by; null while it is not known. */
  get owner(): {
    readonly apiVersion: string;
    readonly kind: string;
    readonly name: string;
    readonly uid: string;
  } | null {
    return this.#uid === null
      ? null
      : { apiVersion: API_VERSION, kind: KIND, name: this.#options.name, uid: this.#uid };
  }

  /** Looks now and writes when it must; resolves when that is over, well or badly. */
  check(): Promise<void> {
    return this.#rounds.ask();
  }

  close(): Promise<void> {
    this.#unfollow();
    return this.#rounds.close();
  }

  async #keep(signal: AbortSignal): Promise<void> {
    const { client, source, mayWrite, log, name } = this.#options;
    const { trustAnchors } = source;
    const wanted = Buffer.from(trustAnchors).toString("base64");
    const seen = await client.request<Configuration>({ method: "GET", path: this.#path, signal });
    this.#note(seen);
    this.#lastFailure = "";
    const wrong = (seen.webhooks ?? []).filter(({ clientConfig }) => clientConfig.caBundle !== wanted);
    if (wrong.length === 0 || !mayWrite()) return;
    // A list keyed by name: webhooks and fields that are not named here stay as they are.
    const webhooks = (seen.webhooks ?? []).map((each) => ({ name: each.name, clientConfig: { caBundle: wanted } }));
    const written = await client.request<Configuration>({
      method: "PATCH",
      path: this.#path,
      query: { fieldManager: FIELD_MANAGER, force: "true" },
      contentType: PATCH_TYPES.apply,
      body: { apiVersion: API_VERSION, kind: KIND, metadata: { name }, webhooks },
      signal,
    });
    this.#note(written);
    log.info("certificates: caBundle written", { configuration: name, webhooks: webhooks.length });
  }

  #note({ metadata, webhooks = [] }: Configuration): void {
    const bundles = new Set(webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? ""));
    const [bundle] = bundles;
    this.#uid = metadata.uid;
    this.#published = bundle === undefined || bundles.size > 1 ? null : Buffer.from(bundle, "base64").toString();
  }

  get #path(): string {
    return `/apis/${API_VERSION}/mutatingwebhookconfigurations/${encodeURIComponent(this.#options.name)}`;
  }

  /** Told once for each kind of failure in a row. */
  #failed(error: unknown): void {
    this.#published = null;
    const message = error instanceof Error ? error.message : String(error);
    if (message === this.#lastFailure) return;
    this.#lastFailure = message;
    const hint = error instanceof KubeError && error.status === 404 ? "the chart makes it: helm upgrade" : null;
    this.#options.log.error("certificates: the caBundle cannot be kept, pods may not start", {
      configuration: this.#options.name,
      error: message,
      hint,
    });
  }
}
