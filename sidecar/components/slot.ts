// One Component name over time: the store that serves now, the one that is wanted, and the way from one to the other.
// The new one is opened and pinged first, then takes the place, and the old one is drained and closed; when it fails,
// the old one stays and the new one is tried again. Knows no files and no secrets.
import type { Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Metrics } from "../metrics.ts";
import { type ComponentStatus, StoreEntry } from "../state/table.ts";
import { actorNotice } from "./contradictions.ts";
import { KEY_LOST } from "./encryption-keys.ts";
import type { Gate } from "./gate.ts";
import { initFailure, title } from "./naming.ts";
import { type OpeningContext, openStore, reasonOf, type WantedStore } from "./opening.ts";
import type { RefusedComponent } from "./plan.ts";
import type { Retirement } from "./retirement.ts";

/** First wait before another try; doubled each time. */
const RETRY_FIRST_MS = 500;
/** Longest wait before another try. */
const RETRY_MAX_MS = 15_000;

export interface SlotContext extends OpeningContext {
  readonly metrics: Metrics;
  /** Bounds how many stores open at a time, over all slots. */
  readonly gate: Gate;
  readonly retirement: Retirement;
  /** What the API sees; a slot touches only its own name. */
  readonly table: Map<string, StoreEntry>;
}

/** Of the manifest that was seen last. */
interface SlotLabel {
  readonly type: string;
  readonly version: string;
}

interface Served {
  readonly entry: StoreEntry;
  readonly wanted: WantedStore;
}

interface Attempt {
  readonly wanted: WantedStore;
  readonly controller: AbortController;
  /** Why it failed, or null. Does not reject. */
  readonly done: Promise<string | null>;
}

export class StoreSlot {
  readonly #name: string;
  readonly #context: SlotContext;
  readonly #log: Log;
  #label: SlotLabel = { type: "", version: "" };
  #served: Served | null = null;
  #problem: string | null = null;
  #attempt: Attempt | null = null;
  #retry: Timer | null = null;
  #failures = 0;
  /** False until the sidecar serves: until then a failure is a failed start, not a failed reload. */
  #reloading: boolean;

  constructor(name: string, context: SlotContext, reloading: boolean) {
    this.#name = name;
    this.#context = context;
    this.#log = context.log;
    this.#reloading = reloading;
  }

  status(): ComponentStatus {
    const entry = this.#served?.entry;
    const { type, version } = entry ?? this.#label;
    const kept = entry === undefined ? "failed" : "kept";
    const state = this.#problem === null ? "ready" : kept;
    const isOpening = this.#attempt !== null;
    return { name: this.#name, type, version, state, message: this.#problem, isOpening };
  }

  /** The start is over: from now on a change is a reload. */
  live(): void {
    this.#reloading = true;
  }

  /** Gives why it failed, or null, once it was tried, or at once when it serves already. */
  want(wanted: WantedStore): Promise<string | null> {
    // Before anything else: whether it is the same store, or another one, or of another type.
    if (this.#served?.entry.core.cipher && wanted.core.cipher === null) {
      this.refuse(withoutItsKey(wanted));
      return Promise.resolve(this.#problem);
    }
    this.#label = wanted;
    this.#retry?.cancel();
    if (this.#served?.wanted.fingerprint === wanted.fingerprint) {
      this.#abandon();
      this.#keep(this.#served, wanted);
      return Promise.resolve(null);
    }
    if (this.#attempt !== null && isSame(this.#attempt.wanted, wanted)) return this.#attempt.done;
    this.#abandon();
    this.#failures = 0;
    for (const warning of wanted.warnings) this.#log.warn(warning);
    return this.#try(wanted);
  }

  /** The manifest as it stands cannot be used: what serves stays, and why is shown. */
  refuse(refused: RefusedComponent): void {
    this.#abandon();
    this.#retry?.cancel();
    if (refused.type !== "") this.#label = refused;
    if (this.#problem === refused.reason) return;
    if (refused.failure === null) {
      this.#note(refused.reason);
      return;
    }
    this.#context.metrics.componentInitFail(refused.type, refused.failure, this.#name);
    this.#fail(refused.reason);
  }

  /** Takes the store out; calls that hold it end on it. */
  remove(): void {
    this.#abandon();
    this.#retry?.cancel();
    const served = this.#served;
    this.#served = null;
    this.#context.table.delete(this.#name);
    this.#context.metrics.storeGone(this.#name);
    if (served !== null) this.#context.retirement.retire(served.entry);
  }

  /** The open store stays, under new rules where those have changed; calls under way end by the old ones. */
  #keep({ entry, wanted: before }: Served, now: WantedStore): void {
    if (isSame(before, now)) {
      if (this.#problem !== null) this.#log.info(`Component ${this.#title()} is as it was again`);
    } else {
      for (const warning of now.warnings) this.#log.warn(warning);
      this.#served = { entry: entry.withRules(now), wanted: now };
      this.#context.table.set(this.#name, this.#served.entry);
      this.#noteActors(this.#served);
      if (this.#reloading) this.#context.metrics.componentReload(this.#name, true);
      this.#log.info(`Component updated: ${this.#title()}; its store stays open`);
    }
    this.#problem = null;
  }

  #try(wanted: WantedStore): Promise<string | null> {
    const controller = new AbortController();
    const done = this.#context.gate.run(() => this.#open(wanted, controller.signal));
    this.#attempt = { wanted, controller, done };
    return done;
  }

  async #open(wanted: WantedStore, signal: AbortSignal): Promise<string | null> {
    try {
      const store = await openStore(wanted, this.#context, signal);
      if (signal.aborted) await store.close();
      else this.#take(new StoreEntry({ ...wanted, store, openedAtMs: this.#context.clock.nowMs() }), wanted);
      return null;
    } catch (error) {
      // Superseded by a newer manifest or by the end of the process: that is no failure of the store.
      if (signal.aborted) return null;
      this.#attempt = null;
      this.#context.metrics.componentInitFail(wanted.type, "init", wanted.name);
      const reason = reasonOf(wanted, error);
      this.#fail(initFailure("INIT", this.#title(), reason));
      this.#tryLater(wanted);
      return this.#problem;
    }
  }

  #take(entry: StoreEntry, wanted: WantedStore): void {
    const { table, metrics, retirement } = this.#context;
    const old = this.#served?.entry;
    this.#served = { entry, wanted };
    this.#noteActors(this.#served);
    this.#attempt = null;
    this.#problem = null;
    table.set(this.#name, entry);
    metrics.componentInit(entry.type);
    metrics.componentLoaded();
    metrics.storeUp(this.#name, true);
    if (this.#reloading) metrics.componentReload(this.#name, true);
    this.#log.info(`Component loaded: ${this.#title()}`);
    if (old !== undefined) retirement.retire(old);
  }

  #noteActors({ entry, wanted }: Served): void {
    const notice = entry.core.actorStateStore ? actorNotice(entry.store.features, wanted.prepared.foreseen) : null;
    if (notice !== null) this.#log.warn(`Component ${this.#title()}: ${notice}`);
  }

  #fail(problem: string): void {
    // The same failure of a later try is no news.
    if (this.#problem === problem) return;
    this.#note(problem);
    const kept = this.#served === null ? "" : " (the last good one stays)";
    this.#log.error(`Failed to init component ${this.#title()}: ${problem}${kept}`);
  }

  #note(problem: string): void {
    this.#problem = problem;
    if (this.#reloading) this.#context.metrics.componentReload(this.#name, false);
  }

  #tryLater(wanted: WantedStore): void {
    const { clock, random } = this.#context;
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** this.#failures) * (1 + random.fraction()) * 0.5;
    this.#failures++;
    this.#retry = clock.after(delayMs, () => void this.#try(wanted));
  }

  #abandon(): void {
    this.#attempt?.controller.abort(new Error("superseded"));
    this.#attempt = null;
  }

  #title(): string {
    return title({ name: this.#name, type: this.#label.type, version: this.#label.version });
  }
}

/** The last good one stays: a mistake in one line must not make plain text of what was to be encrypted. */
function withoutItsKey(wanted: WantedStore): RefusedComponent {
  const { name, type, version, ignoreErrors } = wanted;
  const reason = initFailure("INIT", title(wanted), KEY_LOST);
  return { name, type, version, reason, failure: "init", endsStart: !ignoreErrors };
}

/** Nothing about it has to change. */
function isSame(one: WantedStore, other: WantedStore): boolean {
  return one.fingerprint === other.fingerprint && one.coreFingerprint === other.coreFingerprint;
}
