// Certificates of our own: a CA that all replicas share by a Secret, and a leaf of this replica under it, both renewed
// in time. Decides when a step of a rotation is due; what a step is stands in authority-state.ts.
import type { Clock } from "#kit/clock.ts";
import { sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { KubeClient } from "../kube/client.ts";
import { AuthoritySecret, type FoundSecret } from "./authority-secret.ts";
import {
  type AuthorityState,
  activate,
  FORMER_MAX,
  isToRenew,
  newState,
  prepare,
  prune,
  trustAnchorsOf,
  validityOf,
} from "./authority-state.ts";
import { type Leaf, renewLeaf } from "./leaf.ts";
import { Rounds } from "./rounds.ts";
import { type CertificateSource, Listeners, type Served } from "./source.ts";

/** How often the Secret is looked at and what is due is done, in milliseconds. */
export const LOOK_MS = 10_000;
/** The same after a look that failed. */
const RETRY_MS = 2_000;
/**
 * From the caBundle with the next CA to its first signature, in milliseconds. Kubelets bring a changed ConfigMap into
 * running pods within two minutes; sidecars read it when they connect.
 */
export const SETTLE_MS: number = 10 * 60_000;
/** Writes of one look that another replica was faster with. */
const CONFLICTS_MAX = 5;

export interface AuthorityOptions {
  readonly client: KubeClient;
  /** The operator's own. */
  readonly namespace: string;
  /** DNS names of the leaf, at least one: `pannier-operator.<namespace>.svc` and so on. */
  readonly names: readonly string[];
  /** Only the leader rotates; any replica makes the first CA. */
  readonly mayRotate: () => boolean;
  /** Whether the API server has this bundle as the webhook's caBundle; true where it is not ours to write. */
  readonly isPublished: (trustAnchors: string) => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** The CA, and this replica's leaf under it. */
interface Held {
  readonly state: AuthorityState;
  readonly leaf: Leaf;
}

/** What is to be written, and what for. */
interface Due {
  readonly step: string;
  readonly state: AuthorityState;
}

/** Waits until there is a CA, however long the API server is away. Rejects only when `signal` aborts. */
export async function openAuthority(options: AuthorityOptions, signal: AbortSignal): Promise<Authority> {
  const secret = new AuthoritySecret(options.client, options.namespace);
  while (!signal.aborted) {
    try {
      const state = await firstState(options, secret, signal);
      const leaf = await renewLeaf(null, state, options.names, options.clock.nowMs());
      return new Authority(options, { state, leaf });
    } catch (error) {
      if (signal.aborted) break;
      options.log.error("certificates: no CA yet", { error: messageOf(error), retryMs: RETRY_MS });
    }
    await sleep(options.clock, RETRY_MS, signal);
  }
  throw new Error("certificates: given up before there was a CA");
}

async function firstState(
  options: AuthorityOptions,
  secret: AuthoritySecret,
  signal: AbortSignal,
): Promise<AuthorityState> {
  const found =
    (await secret.read(signal)) ??
    (await secret.create(await newState(options.clock.nowMs()), signal)) ??
    (await secret.read(signal));
  if (found === null) throw new Error(`${secret.place} goes away as soon as it is made`);
  return stateOf(found, secret);
}

export class Authority implements CertificateSource {
  readonly #options: AuthorityOptions;
  readonly #secret: AuthoritySecret;
  readonly #listeners = new Listeners();
  readonly #rounds: Rounds;
  #held: Held;
  /** Since when the bundle with the next CA is known to be in the API server, by the monotonic clock. */
  #published: { readonly trustAnchors: string; readonly sinceMs: number } | null = null;
  #lastFailure = "";

  constructor(options: AuthorityOptions, held: Held) {
    this.#options = options;
    this.#secret = new AuthoritySecret(options.client, options.namespace);
    this.#held = held;
    this.#rounds = new Rounds({
      clock: options.clock,
      everyMs: LOOK_MS,
      retryMs: RETRY_MS,
      round: (signal) => this.#look(signal),
      failed: (error) => this.#failed(error),
    });
  }

  get current(): Served {
    return this.#held.leaf;
  }

  get trustAnchors(): string {
    return trustAnchorsOf(this.#held.state);
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Looks now and does what is due; resolves when that is over, well or badly. */
  look(): Promise<void> {
    return this.#rounds.ask();
  }

  close(): Promise<void> {
    return this.#rounds.close();
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      await this.#step(signal);
      this.#lastFailure = "";
    } finally {
      // Also without the API server: the leaf is made from what is in memory.
      await this.#take(this.#held.state);
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    for (let conflicts = 0; conflicts <= CONFLICTS_MAX; conflicts++) {
      const found = await this.#secret.read(signal);
      if (found === null) {
        // Whoever deleted it gets it back: all that trust this CA go on (docs/certificates.md says how to get rid of it).
        this.#options.log.warn("certificates: the CA's Secret is gone and is made again", {
          secret: this.#secret.place,
        });
        if ((await this.#secret.create(this.#held.state, signal)) !== null) return;
        continue;
      }
      await this.#take(stateOf(found, this.#secret));
      const due = this.#options.mayRotate() ? await this.#due(found, nowMs) : null;
      if (due === null) return;
      const written = await this.#secret.replace(found, due.state, signal);
      if (written === null) continue;
      this.#options.log.info(`certificates: ${due.step}`, { secret: this.#secret.place });
      await this.#take(due.state);
      return;
    }
    throw new Error(`${this.#secret.place} was changed by others ${CONFLICTS_MAX + 1} times in a row`);
  }

  /** Null when nothing is due. */
  async #due(found: FoundSecret, nowMs: number): Promise<Due | null> {
    const state = prune(this.#held.state, nowMs);
    if (validityOf(state.signing.certificatePem).untilMs <= nowMs) {
      const replaced = state.next === null ? await newState(nowMs) : prune(activate(state), nowMs);
      return { step: "the CA has expired and is replaced at once", state: replaced };
    }
    if (state.next !== null && this.#hasSettled())
      return { step: "the next CA signs from now on", state: activate(state) };
    if (state.next === null && (found.isRotationAsked || isToRenew(state.signing.certificatePem, nowMs))) {
      if (state.former.length < FORMER_MAX)
        return { step: "the next CA is published", state: await prepare(state, nowMs) };
      this.#options.log.warn("certificates: no rotation, too many CAs still count", { most: FORMER_MAX });
    }
    return state === this.#held.state ? null : { step: "a CA that has expired is left out", state };
  }

  /** Whether the bundle of today, with the next CA in it, has been published for long enough. */
  #hasSettled(): boolean {
    const { clock, isPublished } = this.#options;
    const { trustAnchors } = this;
    if (!isPublished(trustAnchors)) {
      this.#published = null;
      return false;
    }
    if (this.#published?.trustAnchors !== trustAnchors)
      this.#published = { trustAnchors, sinceMs: clock.monotonicMs() };
    return clock.monotonicMs() - this.#published.sinceMs >= SETTLE_MS;
  }

  /** The state and the leaf under it change in one step: whoever looks while a leaf is made sees the two before. */
  async #take(state: AuthorityState): Promise<void> {
    const before = this.#held;
    const leaf = await renewLeaf(before.leaf, state, this.#options.names, this.#options.clock.nowMs());
    this.#held = { state, leaf };
    const isSame = leaf === before.leaf && trustAnchorsOf(state) === trustAnchorsOf(before.state);
    if (!isSame) this.#listeners.tell();
  }

  /** Told once for each kind of failure in a row. */
  #failed(error: unknown): void {
    const message = messageOf(error);
    if (message === this.#lastFailure) return;
    this.#lastFailure = message;
    this.#options.log.error("certificates: the CA cannot be looked after, the last one stays", { error: message });
  }
}

function stateOf(found: FoundSecret, secret: AuthoritySecret): AuthorityState {
  if (typeof found.holds !== "string") return found.holds;
  throw new Error(`${secret.place}: ${found.holds}; put it right, or delete it to have a new CA made`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
