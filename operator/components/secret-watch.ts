// Reads the Secrets that Components refer to, and no others, and follows them: a watch of one object each tells that there
// is news, a GET fetches it, and where no watch is to be had the GET is repeated. Knows no Component but its key.
import type { Clock, Timer } from "#kit/clock.ts";
import type { Random } from "#kit/random.ts";
import { type KubeClient, KubeError } from "../kube/client.ts";
import { type KubeObject, type ObjectKey, objectKey } from "../kube/object.ts";
import { pathOf } from "../kube/paths.ts";
import { isSecretName, type SecretReading } from "./secrets.ts";

/** Secrets with a watch of their own; the others are asked for every {@link POLL_MS}. */
export const WATCHES_MAX = 200;
/** Between two looks at a Secret without a watch, in milliseconds. */
export const POLL_MS = 60_000;
/** Between two looks at one with a watch, for what the watch may have missed, in milliseconds. */
export const CHECK_MS = 300_000;
/** Until the next try after a 403 or an error, in milliseconds: rights that are granted show soon. */
export const RETRY_MS = 5000;
/** Added to that for each Secret in such trouble, in milliseconds: a thousand of them are 20 questions a second. */
const RETRY_SPREAD_MS = 50;
/** For one answer, in milliseconds: a Component waits no longer for a Secret of which nothing is known. */
const READ_TIMEOUT_MS = 5000;
/** Part of a pause that chance adds, so that looks do not come in step. */
const JITTER = 0.2;

/** Follows the object of one name; `changed` is told that there is news of it. Gives its end. */
export type FollowSecret = (namespace: string, name: string, changed: () => void) => () => void;

export interface SecretWatchContext {
  readonly client: KubeClient;
  readonly follow: FollowSecret;
  readonly clock: Clock;
  readonly random: Random;
}

interface Followed {
  readonly namespace: string;
  readonly name: string;
  readonly owners: Set<ObjectKey>;
  reading: SecretReading | null;
  isLooking: boolean;
  /** News came that no look has seen. */
  isStale: boolean;
  /** The last look had no answer; `reading` may be from before. */
  isUnsure: boolean;
  endWatch: (() => void) | null;
  timer: Timer | null;
}

export class SecretWatch {
  readonly #context: SecretWatchContext;
  readonly #followed = new Map<ObjectKey, Followed>();
  readonly #byOwner = new Map<ObjectKey, ReadonlySet<ObjectKey>>();
  readonly #listeners = new Set<(owner: ObjectKey) => void>();
  /** Those that may not be read, or were not answered last. */
  readonly #troubled = new Set<Followed>();
  #watches = 0;
  #isClosed = false;

  constructor(context: SecretWatchContext) {
    this.#context = context;
  }

  /** The Secrets of `namespace` that `owner` refers to from now on; none to forget it, and none at all once closed. */
  refer(owner: ObjectKey, namespace: string, names: Iterable<string>): void {
    const wanted = new Set(
      (this.#isClosed ? [] : [...names]).filter(isSecretName).map((name) => objectKey(namespace, name)),
    );
    for (const key of wanted) this.#join(key, namespace, owner);
    for (const key of this.#byOwner.get(owner) ?? []) if (!wanted.has(key)) this.#leave(key, owner);
    if (wanted.size === 0) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, wanted);
  }

  /** What is known of a Secret that somebody refers to; null until its first answer, which is told as a change. */
  get(namespace: string, name: string): SecretReading | null {
    if (!isSecretName(name)) return { outcome: "absent" };
    return this.#followed.get(objectKey(namespace, name))?.reading ?? null;
  }

  /** Told each owner of a Secret of which the reading changed. Gives its end. */
  onChange(listener: (owner: ObjectKey) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#isClosed = true;
    for (const owner of [...this.#byOwner.keys()]) this.refer(owner, "", []);
  }

  #join(key: ObjectKey, namespace: string, owner: ObjectKey): void {
    const known = this.#followed.get(key);
    if (known !== undefined) {
      known.owners.add(owner);
      return;
    }
    const followed: Followed = {
      namespace,
      name: key.slice(namespace.length + 1),
      owners: new Set([owner]),
      reading: null,
      isLooking: false,
      isStale: false,
      isUnsure: false,
      endWatch: null,
      timer: null,
    };
    this.#followed.set(key, followed);
    void this.#look(followed);
  }

  #leave(key: ObjectKey, owner: ObjectKey): void {
    const followed = this.#followed.get(key);
    followed?.owners.delete(owner);
    if (followed === undefined || followed.owners.size > 0) return;
    this.#followed.delete(key);
    this.#troubled.delete(followed);
    this.#endWatch(followed);
    followed.timer?.cancel();
  }

  async #look(followed: Followed): Promise<void> {
    followed.isStale = true;
    if (followed.isLooking) return;
    followed.isLooking = true;
    while (followed.isStale && followed.owners.size > 0) {
      followed.isStale = false;
      this.#take(followed, await this.#ask(followed));
    }
    followed.isLooking = false;
    if (followed.owners.size === 0) return;
    this.#watchAsFits(followed);
    followed.timer?.cancel();
    followed.timer = this.#context.clock.after(this.#pauseMs(followed), () => void this.#look(followed));
  }

  async #ask({ namespace, name }: Followed): Promise<SecretReading> {
    try {
      const secret = await this.#context.client.request<KubeObject & { readonly data?: Record<string, string> }>({
        method: "GET",
        path: pathOf({ apiVersion: "v1", plural: "secrets", namespace, name }),
        timeoutMs: READ_TIMEOUT_MS,
      });
      return { outcome: "found", data: secret.data ?? {} };
    } catch (error) {
      return failedReading(error);
    }
  }

  /** An error in between leaves what is known: the Secret is most likely as it was. */
  #take(followed: Followed, reading: SecretReading): void {
    if (followed.owners.size === 0) return;
    const before = followed.reading;
    followed.isUnsure = reading.outcome === "unavailable";
    if (followed.isUnsure || reading.outcome === "forbidden") this.#troubled.add(followed);
    else this.#troubled.delete(followed);
    if (followed.isUnsure && before !== null && before.outcome !== "unavailable") return;
    followed.reading = reading;
    if (JSON.stringify(before) === JSON.stringify(reading)) return;
    for (const owner of followed.owners) for (const listener of this.#listeners) listener(owner);
    if (before?.outcome === "forbidden") this.#lookAtForbidden(followed.namespace);
  }

  /** Rights are granted for a namespace: where one Secret may be read now, the others need not wait for their turn. */
  #lookAtForbidden(namespace: string): void {
    for (const each of this.#troubled)
      if (each.namespace === namespace && each.reading?.outcome === "forbidden") void this.#look(each);
  }

  /** Who may not read it may not watch it either; after an error the watch that there is goes on as it can. */
  #watchAsFits(followed: Followed): void {
    const { namespace, name, reading, endWatch } = followed;
    if (reading?.outcome === "forbidden") this.#endWatch(followed);
    else if (endWatch === null && !followed.isUnsure && this.#watches < WATCHES_MAX) {
      this.#watches++;
      followed.endWatch = this.#context.follow(namespace, name, () => void this.#look(followed));
    }
  }

  #endWatch(followed: Followed): void {
    if (followed.endWatch === null) return;
    followed.endWatch();
    followed.endWatch = null;
    this.#watches--;
  }

  #pauseMs(followed: Followed): number {
    const calmMs = followed.endWatch === null ? POLL_MS : CHECK_MS;
    const retryMs = Math.min(POLL_MS, RETRY_MS + RETRY_SPREAD_MS * this.#troubled.size);
    const pauseMs = this.#troubled.has(followed) ? retryMs : calmMs;
    return pauseMs * (1 + JITTER * this.#context.random.fraction());
  }
}

/** Only the status of the answer is told: its text, and that of an error about it, may repeat a piece of the Secret. */
function failedReading(error: unknown): SecretReading {
  if (!(error instanceof KubeError)) return { outcome: "unavailable", why: "the answer could not be understood" };
  if (error.status === 404) return { outcome: "absent" };
  if (error.status === 403) return { outcome: "forbidden" };
  const why = error.status === 0 ? "the API server gave no answer" : `the API server answered ${error.status}`;
  return { outcome: "unavailable", why };
}
