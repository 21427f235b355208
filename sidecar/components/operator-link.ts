// The connection to the operator: kept for as long as the sidecar lives, begun anew whenever it ends, and never the
// reason why a sidecar that serves stops. Knows what was sent, and nothing of what it means.
import type { IncomingMessage } from "node:http";
import {
  REPORT_PATH,
  RESOURCES_PATH,
  type ResourceKind,
  type ResourceMessage,
  SILENCE_MAX_MS,
} from "#crds/distribution.ts";
import { type Clock, sleep, type Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { OperatorSettings } from "../settings.ts";
import type { OperatorStatus } from "../state/table.ts";
import { codeOf, OperatorAccess, OperatorError } from "./operator-access.ts";
import { BrokenStream, LineCutter, type PassedOver, readMessage } from "./operator-lines.ts";
import { OperatorSet } from "./operator-set.ts";

/** First wait before another try; doubled each time, and each cut by up to a half at random. */
const RETRY_FIRST_MS = 1000;
/** Longest wait before another try. */
const RETRY_MAX_MS = 30_000;
/** A stream that lasted for so long was a good one: after it the waits begin anew. */
const LASTING_MS = 10_000;

export interface OperatorLinkOptions {
  readonly settings: OperatorSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** What the other parts see of the link. */
export interface OperatorFeed {
  /** Sorted by name; empty before the first full set. An equal one that comes again stays the very same object. */
  all(kind: ResourceKind): readonly ResourceMessage[];
  find(kind: ResourceKind, name: string): ResourceMessage | null;
  /** Told the kinds of which something is another now. Gives the end of it. */
  onChange(listener: (kinds: ReadonlySet<ResourceKind>) => void): () => void;
}

export class OperatorLink implements OperatorFeed {
  readonly #options: OperatorLinkOptions;
  readonly #access: OperatorAccess;
  readonly #set = new OperatorSet();
  readonly #listeners = new Set<(kinds: ReadonlySet<ResourceKind>) => void>();
  readonly #closing = new AbortController();
  readonly #firstSet: PromiseWithResolvers<void> = Promise.withResolvers();
  #status: OperatorStatus;
  #streams = 0;
  #response: IncomingMessage | null = null;
  /** Fires when nothing has come for too long. */
  #silence: Timer | null = null;
  #following: Promise<void> = Promise.resolve();

  constructor(options: OperatorLinkOptions) {
    const { settings, clock } = options;
    this.#options = options;
    this.#access = new OperatorAccess(settings, clock);
    const address = `${settings.host}:${settings.port}`;
    const problem = "it has not been asked yet";
    this.#status = { address, connected: false, sinceMs: clock.nowMs(), lastContactMs: null, problem };
  }

  /** Begins to connect, and does not end before {@link close}. */
  start(): void {
    this.#following = this.#follow();
  }

  /** Resolves with the first full set, whenever that comes. */
  firstSet(): Promise<void> {
    return this.#firstSet.promise;
  }

  status(): OperatorStatus {
    return this.#status;
  }

  /** Counts the full sets: a report of an earlier one's time is forgotten by the operator. */
  get streams(): number {
    return this.#streams;
  }

  all(kind: ResourceKind): readonly ResourceMessage[] {
    return this.#set.all(kind);
  }

  find(kind: ResourceKind, name: string): ResourceMessage | null {
    return this.#set.find(kind, name);
  }

  onChange(listener: (kinds: ReadonlySet<ResourceKind>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends a report, as JSON. Rejects with an {@link OperatorError}, or with the reason of `signal`. */
  async report(body: string, signal: AbortSignal): Promise<void> {
    const answer = await this.#access.send({ method: "POST", path: REPORT_PATH, body }, signal);
    answer.destroy();
    this.#contact();
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("closing"));
    this.#response?.destroy();
    await this.#following;
  }

  async #follow(): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#closing;
    for (let failures = 0; !signal.aborted; failures++) {
      const startMs = clock.monotonicMs();
      const problem = await this.#stream();
      if (signal.aborted) return;
      if (this.#status.connected && clock.monotonicMs() - startMs >= LASTING_MS) failures = 0;
      this.#disconnected(problem);
      const waitMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** failures) * (1 + random.fraction()) * 0.5;
      await sleep(clock, waitMs, signal);
    }
  }

  /** One stream from beginning to end. Gives why it ended; does not reject. */
  async #stream(): Promise<string> {
    try {
      const asked = { method: "GET", path: RESOURCES_PATH, body: null } as const;
      const response = await this.#access.send(asked, this.#closing.signal);
      this.#response = response;
      this.#set.begin();
      const cutter = new LineCutter();
      this.#expectMore(response);
      for await (const chunk of response) {
        this.#expectMore(response);
        this.#contact();
        for (const line of cutter.take(chunk)) this.#take(line);
      }
      return "it has ended the stream";
    } catch (error) {
      const known = error instanceof OperatorError || error instanceof BrokenStream;
      return known ? error.message : `the stream was cut (${codeOf(error)})`;
    } finally {
      this.#silence?.cancel();
      this.#response = null;
    }
  }

  #expectMore(response: IncomingMessage): void {
    this.#silence?.cancel();
    const silent = new OperatorError(`nothing has come for ${SILENCE_MAX_MS}ms`);
    this.#silence = this.#options.clock.after(SILENCE_MAX_MS, () => void response.destroy(silent));
  }

  #take(line: string): void {
    const message = readMessage(line);
    if (message.type === "passed-over") this.#passOver(message);
    const wasWhole = this.#set.isWhole;
    const changed = this.#set.take(message);
    if (!wasWhole && this.#set.isWhole) this.#connected();
    if (changed.size > 0) for (const listener of this.#listeners) listener(changed);
  }

  #passOver({ kind, name }: PassedOver): void {
    const what = kind === null ? "a message" : `${kind} ${name ?? ""}`;
    this.#options.log.warn(`${what} of the operator is none that this version can read, and is passed over`);
  }

  #contact(): void {
    this.#status = { ...this.#status, lastContactMs: this.#options.clock.nowMs() };
  }

  #connected(): void {
    const { clock, log } = this.#options;
    const { address } = this.#status;
    this.#status = { ...this.#status, connected: true, sinceMs: clock.nowMs(), problem: null };
    this.#streams++;
    log.info(`connected with the operator at ${address}`, { components: this.all("Component").length });
    this.#firstSet.resolve();
  }

  #disconnected(problem: string): void {
    const { clock, log } = this.#options;
    const { address, connected, sinceMs } = this.#status;
    if (connected || this.#status.problem !== problem) {
      const kept = this.#streams === 0 ? "" : "; what it sent last stays in effect";
      log.warn(`not connected with the operator at ${address}: ${problem}${kept}`);
    }
    this.#status = { ...this.#status, connected: false, sinceMs: connected ? clock.nowMs() : sinceMs, problem };
  }
}
