// A conformance case as plain data, and the stage it runs on: a started subject with one store that all cases share.
// Plain data, so that the suite's own test can run each case against broken stores without a second mocha.
import { randomUUID } from "node:crypto";
import type { Property } from "#crds/fields.ts";
import { systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import type { OpenContext, PreparedStore, Store } from "#sidecar/stores/store.ts";
import { settles } from "./checks.ts";
import type { Running, Server, Subject } from "./subject.ts";
import type { Told } from "./told.ts";

export interface Case {
  /** A sentence that no other case of the suite has. */
  readonly name: string;
  /** Null: for every store. */
  readonly applies: ((subject: Subject) => boolean) | null;
  /** Most of its time is spent waiting for values to expire; such cases run side by side. */
  readonly waits: boolean;
  run(context: Context): Promise<void>;
}

/** Cases on one theme, a `describe` each. */
export interface Chapter {
  readonly name: string;
  readonly cases: readonly Case[];
}

type Applies = (subject: Subject) => boolean;
type Run = (context: Context) => Promise<void>;

/** A case for the stores to which the condition applies. */
export function caseFor(applies: Applies | null, name: string, run: Run): Case {
  return { name, applies, waits: false, run };
}

/** The same for a case that waits for the clock. */
export function waitingCaseFor(applies: Applies | null, name: string, run: Run): Case {
  return { name, applies, waits: true, run };
}

/** What a case works with. Keys are its own; the store is shared and stays open. */
export interface Context {
  readonly subject: Subject;
  readonly store: Store;
  readonly properties: readonly Property[];
  /** A key that nobody else has used, with `name` at its end. */
  key(name: string): string;
  /** Another store on the same settings, closed at the end of the case. */
  open(): Promise<Store>;
  /** Opens as `open` does, by a signal of the case's own. */
  openWith(signal: AbortSignal): Promise<Store>;
  /** How long a case waits, beyond the times that it knows of, before it calls something late. */
  readonly patienceMs: number;
  /** Fails the case when the subject has no server. */
  server(): Server;
  /** Everything that the stores of this stage have logged so far. */
  logged(): string;
}

const OPEN_MS = 30_000;
/** Longer than any call needs when nothing is wrong with the server. */
const PATIENCE_MS = 20_000;

interface StageParts {
  readonly subject: Subject;
  readonly running: Running;
  readonly lines: string[];
  readonly store: Store;
  readonly patienceMs: number;
}

/** A started subject, from `start` to `end`. */
export class Stage {
  readonly subject: Subject;
  readonly #running: Running;
  readonly #prepared: PreparedStore;
  readonly #store: Store;
  readonly #lines: string[];
  readonly #patienceMs: number;

  private constructor({ subject, running, lines, store, patienceMs }: StageParts) {
    this.subject = subject;
    this.#patienceMs = patienceMs;
    this.#running = running;
    this.#lines = lines;
    this.#prepared = prepare(subject, running.properties);
    this.#store = store;
  }

  /** Starts the subject and opens the store. A short patience is for the suite's own test. */
  static async start(subject: Subject, patienceMs: number = PATIENCE_MS): Promise<Stage> {
    const running = await subject.start();
    try {
      const lines: string[] = [];
      const context = openContext(AbortSignal.timeout(OPEN_MS), lines);
      const store = await prepare(subject, running.properties).open(context);
      return new Stage({ subject, running, lines, store, patienceMs });
    } catch (error) {
      await running.stop();
      throw error;
    }
  }

  /** What its servers say that they are. */
  async told(): Promise<Told> {
    return (await this.#running.tells?.()) ?? {};
  }

  async run(each: Case): Promise<void> {
    const opened: Store[] = [];
    try {
      await each.run(this.#context(opened));
    } finally {
      for (const store of opened) await settles(store.close(), this.#patienceMs, "close at the end of the case");
    }
  }

  async end(): Promise<void> {
    try {
      await settles(this.#store.close(), this.#patienceMs, "close at the end of the suite");
    } finally {
      await this.#running.stop();
    }
  }

  #context(opened: Store[]): Context {
    const openWith = async (signal: AbortSignal): Promise<Store> => {
      const store = await this.#prepared.open(openContext(signal, this.#lines));
      opened.push(store);
      return store;
    };
    const prefix = randomUUID();
    return {
      subject: this.subject,
      store: this.#store,
      properties: this.#running.properties,
      key: (name) => this.subject.keyOf?.(prefix, name) ?? `conformance||${prefix}-${name}`,
      open: () => openWith(AbortSignal.timeout(OPEN_MS)),
      openWith,
      patienceMs: this.#patienceMs,
      server: () => {
        if (this.#running.server === null) throw new Error(`${this.subject.name} has no server that can be stopped`);
        return this.#running.server;
      },
      logged: () => this.#lines.join("") + (this.#running.logged?.() ?? ""),
    };
  }
}

function prepare(subject: Subject, properties: readonly Property[]): PreparedStore {
  return subject.driver.decode(properties, []);
}

export function openContext(signal: AbortSignal, lines: string[]): OpenContext {
  const log = createLog({
    level: "debug",
    json: false,
    appId: "conformance",
    instance: "conformance",
    version: "0",
    write: (line) => lines.push(line),
    nowMs: systemClock.nowMs,
  });
  return { component: "conformance", appId: "conformance", clock: systemClock, random: systemRandom, log, signal };
}
