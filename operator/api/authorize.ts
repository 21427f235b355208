// From a bearer token to a sidecar: the token's owner by the API server, then the live pod that the token is bound to.
// Namespace, app id and Configuration are the pod's; what the sidecar says of itself is never asked.
import { type Clock, never } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { type KubeClient, KubeError, type KubeRequest } from "../kube/client.ts";
import type { KubeObject } from "../kube/object.ts";
import { RateLimit } from "../kube/rate-limit.ts";
import { Slots } from "../kube/slots.ts";
import { isRefusal, type Refusal, refuse } from "./refusal.ts";
import { RefusedAddresses } from "./refused-addresses.ts";
import { type Sidecar, sidecarOf } from "./sidecar.ts";
import { type TokenOwner, TokenReviewer } from "./token-review.ts";

/** What is asked for by a token, and from where. */
export interface Bearer {
  /** Null when the request has none. */
  readonly token: string | null;
  /** The peer's IP address. */
  readonly address: string;
}

/** The operator's own account: its replicas are told apart from sidecars by it. */
export interface OperatorAccount {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** Questions to the API server under way: half of what its client lets through, so that the rest of us gets there too. */
export const QUESTIONS_MAX = 16;
/** Questions that may wait; with more, sidecars are told to come back. */
export const QUESTIONS_WAITING_MAX = 4_000;
/** Questions about tokens of one address that are under way or wait: a node's pods may share one. */
export const QUESTIONS_EACH_MAX = 256;
/** Looks at one pod for its streams: so many at once, then one each so many milliseconds. */
export const LOOKS_RATE = { atOnce: 20, everyMs: 2_000 };
const OFTEN_SEC = 5;
const MANY_SEC = 1;
/** What a sidecar is told to wait while the API server does not answer or has too much to, in seconds. */
const API_SERVER_AWAY_SEC = 5;

const NO_TOKEN = "no bearer token: the sidecar sends the token that the injector mounts into its pod";
const BAD_TOKEN = "the token is expired, of another cluster or audience, or its pod is gone; the kubelet renews it";
const UNBOUND = "the token is not bound to a pod: want the one that the injector projects into the sidecar's pod";

/** Whose token it is, and that it ends with a pod. */
export type BoundOwner = TokenOwner & { readonly pod: NonNullable<TokenOwner["pod"]> };

/** A pod, as far as it is read here. */
interface Pod extends KubeObject {
  readonly status?: { readonly phase?: string };
}

export interface AuthorizerOptions {
  readonly kube: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** The namespaces that the operator watches; empty or absent: all. */
  readonly watchedNamespaces?: readonly string[];
}

export class Authorizer {
  readonly #kube: KubeClient;
  readonly #reviewer: TokenReviewer;
  readonly #refused: RefusedAddresses;
  readonly #log: Log;
  readonly #slots = new Slots({ most: QUESTIONS_MAX, waitingMax: QUESTIONS_WAITING_MAX });

  readonly #looks: RateLimit;
  /** By address: tokens that are asked about. */
  readonly #asking = new Map<string, number>();
  readonly #watched: ReadonlySet<string>;

  constructor({ kube, clock, log, watchedNamespaces = [] }: AuthorizerOptions) {
    this.#kube = kube;
    this.#watched = new Set(watchedNamespaces);
    this.#reviewer = new TokenReviewer((request) => this.#ask(request), clock);
    this.#refused = new RefusedAddresses(clock);
    this.#looks = new RateLimit({ ...LOOKS_RATE, clock });
    this.#log = log;
  }

  /** Whose token it is: a service account's, bound to a pod. Nothing is known of the pod's life. */
  owner(bearer: Bearer): Promise<BoundOwner | Refusal> {
    return this.#guard(bearer, (token) => this.#ownerOf(token));
  }

  /** The sidecar whose token it is, by its pod as it is now. */
  sidecar(bearer: Bearer): Promise<{ readonly sidecar: Sidecar } | Refusal> {
    return this.#guard(bearer, async (token) => {
      const owner = await this.#ownerOf(token);
      return isRefusal(owner) ? owner : this.#ofPod(owner);
    });
  }

  /** Another replica of this operator: gives the UID of its pod, which no message can claim. */
  replica(bearer: Bearer, own: OperatorAccount): Promise<{ readonly replica: string } | Refusal> {
    return this.#guard(bearer, async (token) => {
      const owner = await this.#ownerOf(token);
      if (isRefusal(owner)) return owner;
      const isOwn = owner.namespace === own.namespace && owner.serviceAccount === own.serviceAccount;
      return isOwn ? { replica: owner.pod.uid } : refuse(403, "only replicas of this operator may ask for this");
    });
  }

  /** Counts what is refused against the address, and turns a failing API server into a 503. */
  async #guard<T extends object>(
    { token, address }: Bearer,
    judge: (token: string) => Promise<T | Refusal>,
  ): Promise<T | Refusal> {
    if (token === null) return refuse(401, NO_TOKEN);
    // A token that was good a moment ago is not held up by what others behind the same address do.
    const isAccepted = this.#reviewer.isAccepted(token);
    const waitMs = isAccepted ? 0 : this.#refused.waitMs(address);
    if (waitMs > 0) return refuse(429, "too many refused tokens from this address; wait", Math.ceil(waitMs / 1000));
    const asking = this.#asking.get(address) ?? 0;
    if (!isAccepted && asking >= QUESTIONS_EACH_MAX) {
      return refuse(429, "too many tokens of this address are being checked", MANY_SEC);
    }
    if (this.#slots.waiting >= QUESTIONS_WAITING_MAX) {
      return refuse(503, "too many sidecars are waiting to be checked", API_SERVER_AWAY_SEC);
    }
    this.#asking.set(address, asking + 1);
    try {
      const answer = await judge(token);
      if (isRefusal(answer) && answer.status < 500 && answer.status !== 429) this.#refused.count(address);
      return answer;
    } catch (error) {
      return this.#failed(error);
    } finally {
      const left = (this.#asking.get(address) ?? 1) - 1;
      if (left > 0) this.#asking.set(address, left);
      else this.#asking.delete(address);
    }
  }

  async #ownerOf(token: string): Promise<BoundOwner | Refusal> {
    const owner = await this.#reviewer.review(token);
    if (owner === null) return refuse(401, BAD_TOKEN);
    return owner.pod === null ? refuse(403, UNBOUND) : { ...owner, pod: owner.pod };
  }

  async #ofPod({ namespace, pod: bound }: BoundOwner): Promise<{ readonly sidecar: Sidecar } | Refusal> {
    // It would be told that there is nothing for it, and let go of what it has.
    if (this.#watched.size > 0 && !this.#watched.has(namespace)) {
      return refuse(403, `this operator does not watch the namespace ${namespace}`);
    }
    // Each is a question to the API server and begins with everything: not to be had in a loop.
    if (!this.#looks.take(bound.uid)) return refuse(429, "the pod asks for streams too often", OFTEN_SEC);
    const pod = await this.#find(namespace, bound.name);
    const name = `pod ${namespace}/${bound.name}`;
    // A StatefulSet gives the next pod the same name: only the UID says that it is this one.
    if (pod === null || pod.metadata.uid !== bound.uid) return refuse(403, `${name} of the token is gone`);
    if (pod.metadata.deletionTimestamp !== undefined) return refuse(403, `${name} is being deleted`);
    const { phase } = pod.status ?? {};
    if (phase === "Succeeded" || phase === "Failed") return refuse(403, `${name} has finished (${phase})`);
    const sidecar = sidecarOf(pod.metadata);
    return "problem" in sidecar ? refuse(403, `${name}: ${sidecar.problem}`) : { sidecar };
  }

  async #find(namespace: string, name: string): Promise<Pod | null> {
    try {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(name)}`;
      return await this.#ask<Pod>({ method: "GET", path });
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return null;
      throw error;
    }
  }

  async #ask<T>(request: KubeRequest): Promise<T> {
    const leave = await this.#slots.take(never);
    try {
      return await this.#kube.request<T>(request);
    } finally {
      leave();
    }
  }

  #failed(error: unknown): Refusal {
    if (!(error instanceof KubeError)) throw error;
    this.#log.warn("the API server could not be asked about a token or its pod", {
      status: error.status,
      reason: error.reason,
      error: error.message,
    });
    return refuse(
      503,
      "the API server could not be asked about the token; the operator's log says more",
      API_SERVER_AWAY_SEC,
    );
  }
}
