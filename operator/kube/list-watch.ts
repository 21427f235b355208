// The loop that keeps one collection of an API server current: list, watch from there, and after every kind of end go on
// where that is safe or list again. It never gives up by itself: `stalledForMs` is for whoever judges liveness.
import { sleep } from "#kit/clock.ts";
import { Backoff, type BackoffLimits } from "./backoff.ts";
import { type KubeClient, KubeError } from "./client.ts";
import type { KubeContext } from "./context.ts";
import { listAll } from "./list.ts";
import { type KubeObject, keyOf, type ObjectKey } from "./object.ts";
import { Recent } from "./recent.ts";
import { BrokenWatch, type WatchEvent, watchEvents } from "./watch-stream.ts";

/** The API server ends a watch after a time drawn from here, in seconds, so that not all of them end at once. */
const WATCH_SEC = { least: 290, most: 580 };
/** A watch on which nothing came is cut after so long, in milliseconds: bookmarks come about every minute. */
export const WATCH_SILENCE_MAX_MS = 150_000;
/** A watch that lived so long worked, even if nothing happened on it; in milliseconds. */
const WATCH_PROVEN_MS = 1000;
/** After so many failures in a row the version is not trusted any more and everything is listed. */
const FAILURES_BEFORE_LIST = 5;
/** Events, and versions, that are remembered to know them again when a watch brings what is past. */
const REMEMBERED_MAX = 1024;
/** From one full list to the next, in milliseconds, give or take a tenth. It repairs what was missed by any fault. */
export const RELIST_MS: number = 30 * 60_000;
const BACKOFF: BackoffLimits = { firstMs: 200, mostMs: 30_000 };

/** Takes what the loop finds. */
export interface Sink<T> {
  replace(objects: readonly T[]): void;
  put(object: T): void;
  remove(key: ObjectKey): void;
}

export interface ListWatchOptions<T> {
  readonly resource: string;
  readonly path: string;
  /** Selectors. */
  readonly query: Readonly<Record<string, string>>;
  readonly metadataOnly: boolean;
  readonly trim: (object: KubeObject & Readonly<Record<string, unknown>>) => T;
  readonly relistMs: number;
  readonly sink: Sink<T>;
}

type Cause = "gone" | "error" | "silence" | "ended" | "relist" | "closed";

export class ListWatch<T extends KubeObject> {
  readonly #context: KubeContext;
  readonly #options: ListWatchOptions<T>;
  readonly #closing = new AbortController();
  readonly #backoff: Backoff;
  /** Events since the last list, which may take away what they brought. */
  readonly #seen = new Recent(REMEMBERED_MAX);
  /** Versions that lie behind us. */
  readonly #passed = new Recent(REMEMBERED_MAX);
  /** To watch from; null: list first. */
  #version: string | null = null;
  #relistAtMs = 0;
  #aliveAtMs: number;
  #running: Promise<void> = Promise.resolve();

  constructor(context: KubeContext, options: ListWatchOptions<T>) {
    this.#context = context;
    this.#options = options;
    this.#backoff = new Backoff(BACKOFF, context.random);
    this.#aliveAtMs = context.clock.monotonicMs();
  }

  start(): void {
    this.#aliveAtMs = this.#context.clock.monotonicMs();
    this.#running = this.#run();
  }

  /** Milliseconds since the API server last gave a page of a list, opened a watch or sent an event. */
  stalledForMs(): number {
    return this.#context.clock.monotonicMs() - this.#aliveAtMs;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, metrics } = this.#context;
    while (!this.#closing.signal.aborted) {
      const { cause, waitMs } = await this.#round();
      if (cause === "closed") return;
      metrics.watchRestarted(this.#options.resource, cause);
      await sleep(clock, waitMs, this.#closing.signal);
    }
  }

  /** A list if one is due, and a watch until it ends. */
  async #round(): Promise<{ readonly cause: Cause; readonly waitMs: number }> {
    const { clock } = this.#context;
    let openedAtMs = Number.POSITIVE_INFINITY;
    try {
      const version = this.#version ?? (await this.#list());
      const cause = await this.#watch(version, () => {
        openedAtMs = clock.monotonicMs();
      });
      const isProven = clock.monotonicMs() - openedAtMs >= WATCH_PROVEN_MS;
      if (isProven) this.#backoff.reset();
      if (cause === "relist") this.#version = null;
      // A server that ends each watch at once must not be asked in a tight loop.
      return { cause, waitMs: isProven || cause === "relist" ? 0 : this.#backoff.next() };
    } catch (error) {
      if (this.#closing.signal.aborted) return { cause: "closed", waitMs: 0 };
      if (clock.monotonicMs() - openedAtMs >= WATCH_PROVEN_MS) this.#backoff.reset();
      return this.#failed(error);
    }
  }

  #failed(error: unknown): { readonly cause: Cause; readonly waitMs: number } {
    const isKube = error instanceof KubeError;
    const cause = isKube && error.status === 410 ? "gone" : "error";
    const waitMs = this.#backoff.next(isKube ? error.retryAfterMs : null);
    if (cause === "gone" || error instanceof BrokenWatch || this.#backoff.failures >= FAILURES_BEFORE_LIST) {
      this.#version = null;
    }
    const { resource, path } = this.#options;
    const message = error instanceof Error ? error.message : String(error);
    this.#context.log.warn("list or watch failed", {
      resource,
      path,
      cause,
      error: message,
      retry_ms: Math.round(waitMs),
    });
    return { cause, waitMs };
  }

  async #list(): Promise<string> {
    const { client, clock, random } = this.#context;
    const { path, query, metadataOnly, relistMs, sink } = this.#options;
    const { objects, resourceVersion } = await listAll<T>(client, {
      path,
      query,
      accept: acceptOf(metadataOnly, "List"),
      trim: (object) => this.#trimmed(object),
      onPage: () => this.#alive(),
      signal: this.#closing.signal,
    });
    this.#seen.clear();
    sink.replace(objects);
    this.#pass(resourceVersion);
    this.#relistAtMs = clock.monotonicMs() + relistMs * (0.9 + 0.2 * random.fraction());
    return resourceVersion;
  }

  /** Resolves with why the watch ended when that is no failure. */
  async #watch(version: string, onOpen: () => void): Promise<Cause> {
    const { client, clock } = this.#context;
    const ending = new AbortController();
    let cause: Cause | null = null;
    const end = (why: Cause): void => {
      cause ??= why;
      ending.abort();
    };
    const silent = (): void => end("silence");
    const close = (): void => end("closed");
    const relist = clock.after(Math.max(0, this.#relistAtMs - clock.monotonicMs()), () => end("relist"));
    this.#closing.signal.addEventListener("abort", close, { once: true });
    if (this.#closing.signal.aborted) close();
    let silence = clock.after(WATCH_SILENCE_MAX_MS, silent);
    try {
      const chunks = await client.stream(this.#watchRequest(version, ending.signal));
      this.#alive();
      onOpen();
      for await (const event of watchEvents(chunks)) {
        if (cause !== null) break;
        this.#alive();
        silence.cancel();
        silence = clock.after(WATCH_SILENCE_MAX_MS, silent);
        this.#backoff.reset();
        this.#take(event);
      }
      return cause ?? "ended";
    } catch (error) {
      if (cause !== null) return cause;
      throw error;
    } finally {
      silence.cancel();
      relist.cancel();
      this.#closing.signal.removeEventListener("abort", close);
    }
  }

  #watchRequest(resourceVersion: string, signal: AbortSignal): Parameters<KubeClient["stream"]>[0] {
    const { path, query, metadataOnly } = this.#options;
    const { least, most } = WATCH_SEC;
    const timeoutSeconds = String(Math.round(least + (most - least) * this.#context.random.fraction()));
    const watch = { watch: "true", allowWatchBookmarks: "true", timeoutSeconds, resourceVersion };
    return { method: "GET", path, query: { ...query, ...watch }, accept: acceptOf(metadataOnly, ""), signal };
  }

  /**
   * Versions are opaque: that a bookmark lies behind what we saw shows only when we know it, and when we do not, by the
   * events that a watch repeats which went on from it. They would take the cache back in time. What shows by neither
   * (events that we never had because a list came before them) is told once more, followed by what is true now.
   */
  #take({ type, object }: WatchEvent): void {
    const { resourceVersion, uid } = object.metadata;
    if (type === "BOOKMARK") {
      if (!this.#passed.has(resourceVersion)) this.#pass(resourceVersion);
      return;
    }
    const event = `${type === "DELETED" ? "-" : "+"}${uid}/${resourceVersion}`;
    if (!this.#seen.has(event)) {
      this.#seen.add(event);
      const trimmed = type === "DELETED" ? null : this.#trimmed(object);
      if (type === "DELETED") this.#options.sink.remove(keyOf(object));
      else if (trimmed !== null) this.#options.sink.put(trimmed);
    }
    this.#pass(resourceVersion);
  }

  #pass(version: string): void {
    this.#version = version;
    this.#passed.add(version);
  }

  #alive(): void {
    this.#aliveAtMs = this.#context.clock.monotonicMs();
  }

  /** Null when `trim` throws: one odd object must not keep all others away. */
  #trimmed(object: KubeObject): T | null {
    const { resource, trim } = this.#options;
    try {
      return trim(object as KubeObject & Readonly<Record<string, unknown>>);
    } catch (error) {
      this.#context.log.error("an object cannot be taken in", { resource, key: keyOf(object), error: String(error) });
      return null;
    }
  }
}

function acceptOf(metadataOnly: boolean, list: "List" | ""): string {
  return metadataOnly ? `application/json;as=PartialObjectMetadata${list};g=meta.k8s.io;v=v1` : "application/json";
}
