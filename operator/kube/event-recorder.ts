// Writes Events of Kubernetes (events.k8s.io/v1) in the background: repetitions are counted in one Event, each object has
// a rate, the queue a bound. Whoever tells one never waits and never fails by it; what is lost is counted.
import { sleep, type Timer } from "#kit/clock.ts";
import { Backoff, type BackoffLimits } from "./backoff.ts";
import { KubeError, PATCH_TYPES } from "./client.ts";
import type { KubeContext } from "./context.ts";
import { EVENTS_API, eventOf, namespaceOf, type Occurrences, type Reporter, seriesOf } from "./event-object.ts";
import type { Events, Told } from "./events.ts";
import { pathOf } from "./paths.ts";
import { RateLimit } from "./rate-limit.ts";

/** Events that wait to be written; the oldest is dropped for a new one. */
export const EVENTS_QUEUED_MAX = 1000;
/** Events remembered, to count their repetitions; the least recently told is forgotten. */
export const EVENTS_REMEMBERED_MAX = 4096;
/** A repetition after a longer pause is an Event of its own, in milliseconds. */
export const SERIES_PAUSE_MS: number = 6 * 60_000;
/** Repetitions of one Event are written at most so often, in milliseconds. */
export const SERIES_WRITE_MS = 30_000;
/** Different Events of one object: so many at once, then one each EVENT_EVERY_MS. */
export const EVENTS_AT_ONCE = 25;
const EVENT_EVERY_MS = 60_000;
/** Attempts to write one. */
const ATTEMPTS_MAX = 4;
const BACKOFF: BackoffLimits = { firstMs: 200, mostMs: 10_000 };
/** After close, what waits is still written for so long, in milliseconds. */
const FLUSH_MAX_MS = 2_000;

/** One Event and how often it was told. */
interface Entry extends Occurrences {
  readonly told: Told;
  count: number;
  lastMs: number;
  /** In the cluster; the same for each attempt, so that one whose answer was lost is not written twice. */
  readonly name: string;
  isWritten: boolean;
  /** Until its repetitions are queued. */
  timer: Timer | null;
}

export class EventRecorder implements Events {
  readonly #context: KubeContext;
  readonly #reporter: Reporter;
  readonly #rate: RateLimit;
  readonly #entries = new Map<string, Entry>();
  readonly #queue = new Set<Entry>();
  readonly #closing = new AbortController();
  #pumping: Promise<void> | null = null;
  #closed = false;
  #dropped = 0;

  constructor(context: KubeContext, reporter: Reporter) {
    this.#context = context;
    this.#reporter = reporter;
    this.#rate = new RateLimit({ atOnce: EVENTS_AT_ONCE, everyMs: EVENT_EVERY_MS, clock: context.clock });
  }

  /** Events that were told and never written, for whatever reason. */
  get dropped(): number {
    return this.#dropped;
  }

  tell(told: Told): void {
    if (this.#closed) {
      this.#dropped++;
      return;
    }
    const nowMs = this.#context.clock.nowMs();
    const { about, type, reason, action, note } = told;
    const key = JSON.stringify([about.metadata.uid, type, reason, action, note]);
    const known = this.#entries.get(key);
    if (known !== undefined && nowMs - known.lastMs < SERIES_PAUSE_MS) this.#repeat(known, nowMs);
    else if (this.#rate.take(about.metadata.uid)) this.#begin(key, { told, firstMs: nowMs, lastMs: nowMs });
    else this.#dropped++;
  }

  /** Writes what waits for as long as FLUSH_MAX_MS, then drops it. Takes nothing more. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#entries.values()) {
      if (entry.timer === null) continue;
      entry.timer.cancel();
      this.#enqueue(entry);
    }
    this.#entries.clear();
    const timer = this.#context.clock.after(FLUSH_MAX_MS, () => this.#closing.abort());
    await this.#pumping;
    timer.cancel();
  }

  #begin(key: string, begun: Pick<Entry, "told" | "firstMs" | "lastMs">): void {
    const name = newName(begun.told, this.#context.random.uuid());
    const entry: Entry = { ...begun, count: 1, name, isWritten: false, timer: null };
    this.#entries.get(key)?.timer?.cancel();
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size > EVENTS_REMEMBERED_MAX) this.#forgetOldest();
    this.#enqueue(entry);
  }

  #repeat(entry: Entry, nowMs: number): void {
    entry.count++;
    entry.lastMs = nowMs;
    // One that waits to be written takes its count along.
    if (this.#queue.has(entry)) return;
    entry.timer ??= this.#context.clock.after(SERIES_WRITE_MS, () => this.#enqueue(entry));
  }

  #forgetOldest(): void {
    for (const [key, { timer }] of this.#entries) {
      timer?.cancel();
      this.#entries.delete(key);
      return;
    }
  }

  #enqueue(entry: Entry): void {
    entry.timer = null;
    this.#queue.add(entry);
    if (this.#queue.size > EVENTS_QUEUED_MAX) {
      const [oldest] = this.#queue;
      if (oldest !== undefined) this.#queue.delete(oldest);
      this.#dropped++;
    }
    this.#pumping ??= this.#pump();
  }

  async #pump(): Promise<void> {
    for (const entry of this.#queue) {
      this.#queue.delete(entry);
      await this.#write(entry);
    }
    this.#pumping = null;
  }

  /** Never rejects. */
  async #write(entry: Entry): Promise<void> {
    const { clock, random, log } = this.#context;
    const backoff = new Backoff(BACKOFF, random);
    for (;;) {
      try {
        await this.#send(entry);
        return;
      } catch (error) {
        const { reason } = entry.told;
        const waitMs = backoff.next(error instanceof KubeError ? error.retryAfterMs : null);
        const again = isPassing(error) && backoff.failures < ATTEMPTS_MAX;
        if (again && (await sleep(clock, waitMs, this.#closing.signal))) continue;
        this.#dropped++;
        log.warn("an Event was not written", { reason, error: error instanceof Error ? error.message : String(error) });
        return;
      }
    }
  }

  async #send(entry: Entry): Promise<void> {
    const { name, told } = entry;
    if (entry.isWritten && (await this.#patch(entry))) return;
    try {
      await this.#context.client.request({
        method: "POST",
        path: pathOf({ apiVersion: EVENTS_API, plural: "events", namespace: namespaceOf(told) }),
        body: eventOf(name, told, entry, this.#reporter),
        signal: this.#closing.signal,
      });
    } catch (error) {
      if (!(error instanceof KubeError && error.reason === "AlreadyExists")) throw error;
    }
    entry.isWritten = true;
  }

  /** False when the Event is not there any more: the API server keeps Events for an hour. */
  async #patch(entry: Entry): Promise<boolean> {
    const { name, told } = entry;
    try {
      await this.#context.client.request({
        method: "PATCH",
        path: pathOf({ apiVersion: EVENTS_API, plural: "events", namespace: namespaceOf(told), name }),
        contentType: PATCH_TYPES.merge,
        body: { series: seriesOf(entry) },
        signal: this.#closing.signal,
      });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return false;
      throw error;
    }
  }
}

const NAME_BEGINNING_MAX = 200;

/** The object's name and some chance, as a DNS subdomain. */
function newName({ about }: Told, uuid: string): string {
  const beginning = about.metadata.name.slice(0, NAME_BEGINNING_MAX).replace(/[^a-z0-9]+$/, "");
  return `${beginning}.${uuid.replaceAll("-", "").slice(0, 16)}`;
}

/** Whether another attempt may help. */
function isPassing(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 0 || error.status === 429 || error.status >= 500);
}
