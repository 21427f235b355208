// Tells the operator how this sidecar stands to each Component, whenever that is another than it was told last. What goes
// wrong here costs nothing but the status of a resource.
import { LINE_BYTES_MAX, REPORT_MESSAGE_MAX, REPORTED_MAX, type ReportedComponent } from "#crds/distribution.ts";
import { type Clock, sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { ComponentStatus, StoreEntry } from "../state/table.ts";
import { OperatorError } from "./operator-access.ts";
import type { OperatorFeed, OperatorLink } from "./operator-link.ts";

/**
 * Looked at so often rather than told: a status comes of a dozen events, and changes of half a second belong in one
 * report anyway.
 */
const LOOK_EVERY_MS = 500;
/** First wait after a report that did not arrive; doubled each time, and each cut by up to a half at random. */
const RETRY_FIRST_MS = 1000;
/** Longest of these waits. */
const RETRY_MAX_MS = 30_000;

/** Connections tried in a row for one report: of two replicas, eight miss the right one once in 256. */
const REPLICAS_TRIED_MAX = 8;

/** Longest message, in characters, in a report that would be too large. */
const SHORT_MESSAGE_MAX = 200;

/** What is known of the Components, in the order of the statuses. */
export interface Reportable {
  statuses(): readonly ComponentStatus[];
  find(name: string): StoreEntry | undefined;
}

export interface OperatorReportsOptions {
  readonly link: OperatorLink;
  readonly components: Reportable;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export class OperatorReports {
  readonly #options: OperatorReportsOptions;
  readonly #closing = new AbortController();
  /** The last that arrived, and in which stream's time. */
  #told = { text: "", stream: 0 };
  #problem: string | null = null;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: OperatorReportsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#looking = this.#look();
  }

  /** Before the link is closed. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; ) {
      failures = (await this.#tell()) ? 0 : failures + 1;
      const backoffMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1)) * (1 + random.fraction()) * 0.5;
      await sleep(clock, failures === 0 ? LOOK_EVERY_MS : backoffMs, signal);
    }
  }

  /** A connection of its own may lead to a replica that does not have our stream; the next one to the one that has. */
  async #send(text: string): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#options.link.report(text, this.#closing.signal);
      } catch (error) {
        const again = error instanceof OperatorError && error.isMisdirected && attempt < REPLICAS_TRIED_MAX;
        if (!again) throw error;
      }
    }
  }

  /** Gives false when there is something to tell and it did not arrive. */
  async #tell(): Promise<boolean> {
    const { link, components, log } = this.#options;
    const stream = link.streams;
    if (!link.status().connected) return true;
    const text = written(reported(components, link));
    if (this.#told.text === text && this.#told.stream === stream) return true;
    try {
      await this.#send(text);
      this.#told = { text, stream };
      this.#problem = null;
      return true;
    } catch (error) {
      if (this.#closing.signal.aborted) return false;
      if (!(error instanceof OperatorError)) throw error;
      if (this.#problem !== error.message) log.warn(`the operator did not take a report: ${error.message}`);
      this.#problem = error.message;
      return false;
    }
  }
}

/** With shorter messages where all of them would be more than the operator reads. */
function written(components: readonly ReportedComponent[]): string {
  const text = JSON.stringify({ components });
  if (Buffer.byteLength(text) <= LINE_BYTES_MAX) return text;
  return JSON.stringify({
    components: components.map((each) => ({ ...each, message: each.message?.slice(0, SHORT_MESSAGE_MAX) ?? null })),
  });
}

/** At most {@link REPORTED_MAX}, those with a trouble before the others. */
function reported(components: Reportable, feed: OperatorFeed): readonly ReportedComponent[] {
  const all = components.statuses().flatMap((status): ReportedComponent[] => {
    const message = feed.find("Component", status.name);
    const entry = components.find(status.name);
    // A state store that is still being opened for the first time: there is nothing to say of it yet.
    const isOpening = status.state === "ready" && entry === undefined && status.type.startsWith("state.");
    return message === null || isOpening ? [] : [describe(status, entry, message.resource)];
  });
  if (all.length <= REPORTED_MAX) return all;
  return all
    .sort((left, right) => Number(left.message === null) - Number(right.message === null))
    .slice(0, REPORTED_MAX);
}

function describe(
  { name, state, message, isOpening }: ComponentStatus,
  entry: StoreEntry | undefined,
  resource: Readonly<Record<string, unknown>>,
): ReportedComponent {
  const { metadata } = resource;
  const none: { readonly uid?: unknown; readonly generation?: unknown } = {};
  const { uid, generation } = typeof metadata === "object" && metadata !== null ? { ...none, ...metadata } : none;
  const health = entry?.health ?? null;
  const why = message ?? (health === null || health.up ? null : health.message);
  return {
    name,
    uid: typeof uid === "string" ? uid : "",
    // Until the newer one is open or has failed, nothing can be said of its generation.
    generation: typeof generation === "number" && !isOpening ? generation : 0,
    state,
    reachable: health?.up ?? null,
    message: why?.slice(0, REPORT_MESSAGE_MAX) ?? null,
  };
}
