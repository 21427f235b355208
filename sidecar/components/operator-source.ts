// The Components and Resiliencies that the operator sends, as a set that follows its stream. Keeps the last good content
// of each resource, as the source of files does of each file. Opens no store and knows no connection.
import type { ResourceMessage } from "#crds/distribution.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { FileProblem } from "../state/table.ts";
import { decisiveFaults, describePlaced, isMistake, type LocatedComponent, locateResource } from "./documents.ts";
import type { SourceProblem } from "./file-problem.ts";
import { FileSource } from "./file-source.ts";
import type { OperatorFeed } from "./operator-link.ts";
import type { ComponentSource, SourceFile } from "./source.ts";

/** Changes that come within so long of the first are told together, in milliseconds. */
const SETTLE_MS = 100;
/** How often it is asked whether changes may be followed again, while they may not. */
const ASK_EVERY_MS = 500;

export interface OperatorSourceOptions {
  readonly feed: OperatorFeed;
  /** Of the files that secret stores are made of: nothing else is read from the disk. */
  readonly reconcileMs: number;
  /** False while changes are to wait for {@link OperatorSource.readNow}. */
  readonly isFollowing: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Told the whole set after each change. */
  readonly onChange: (files: readonly SourceFile[]) => void;
}

/** One resource, as it was read last. */
interface Known {
  readonly message: ResourceMessage;
  /** The last that could be used; null when there was none. */
  readonly good: LocatedComponent | null;
  /** What came last, when it cannot be used. */
  readonly mistake: { readonly located: LocatedComponent; readonly problem: SourceProblem } | null;
}

export class OperatorSource implements ComponentSource {
  readonly #options: OperatorSourceOptions;
  /** By title, in the order of the feed. */
  #known: ReadonlyMap<string, Known> = new Map();
  readonly #secretFiles: FileSource;
  #unsubscribe = (): void => undefined;
  #timer: Timer | null = null;
  #reading: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: OperatorSourceOptions) {
    const { reconcileMs, isFollowing, clock, log } = options;
    this.#options = options;
    const onChange = (): void => this.#lookIn(SETTLE_MS);
    const concerns = (): boolean => false;
    this.#secretFiles = new FileSource({ folders: [], reconcileMs, isFollowing, clock, log, concerns, onChange });
  }

  /** Whoever starts it has waited for the feed's first full set. */
  async start(): Promise<readonly SourceFile[]> {
    await this.#secretFiles.start();
    await this.#serially(() => this.#read());
    return this.files();
  }

  follow(): void {
    this.#unsubscribe = this.#options.feed.onChange((kinds) => {
      if (kinds.has("Component") || kinds.has("Resiliency")) this.#lookIn(SETTLE_MS);
    });
    this.#secretFiles.follow();
    // What came between the first reading and this.
    this.#lookIn(SETTLE_MS);
  }

  async readNow(): Promise<{ readonly files: readonly SourceFile[]; readonly changed: boolean }> {
    const ofSecrets = await this.#secretFiles.readNow();
    let changed = false;
    await this.#serially(async () => {
      changed = await this.#read();
    });
    return { files: this.files(), changed: changed || ofSecrets.changed };
  }

  alsoFollow(paths: readonly string[]): Promise<void> {
    return this.#secretFiles.alsoFollow(paths);
  }

  files(): readonly SourceFile[] {
    return [...this.#known].map(([path, { good, mistake }]) => {
      const usable = good === null ? [] : [good];
      if (mistake === null) return { path, components: usable, problem: null, refused: false };
      return { path, components: [...usable, mistake.located], problem: mistake.problem, refused: true };
    });
  }

  problems(): readonly FileProblem[] {
    return this.files().flatMap(({ problem }) => problem ?? []);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    this.#timer?.cancel();
    await this.#secretFiles.close();
    await this.#reading;
  }

  /** The first change of several begins the wait, so that a stream of them cannot put it off for ever. */
  #lookIn(delayMs: number): void {
    if (this.#closed || this.#timer !== null) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#timer = null;
      if (!this.#options.isFollowing()) return this.#lookIn(ASK_EVERY_MS);
      void this.#serially(async () => {
        await this.#read();
        // A secret file may have changed and nothing else: equal settings reopen nothing.
        if (!this.#closed) this.#options.onChange(this.files());
      });
    });
  }

  #serially(task: () => Promise<unknown>): Promise<unknown> {
    this.#reading = this.#reading.then(() => (this.#closed ? undefined : task()));
    return this.#reading;
  }

  /** Takes over what the feed has now. Gives whether any of it is another. */
  async #read(): Promise<boolean> {
    const { feed } = this.#options;
    const messages = [...feed.all("Component"), ...feed.all("Resiliency")];
    const next = new Map<string, Known>();
    let changed = messages.length !== this.#known.size;
    for (const message of messages) {
      const title = `${message.kind} ${message.name} (operator)`;
      const known = this.#known.get(title);
      if (known?.message === message) next.set(title, known);
      else {
        next.set(title, await this.#locate(title, message, known));
        changed = true;
      }
    }
    this.#known = next;
    return changed;
  }

  async #locate(title: string, message: ResourceMessage, known: Known | undefined): Promise<Known> {
    const located = await locateResource(title, message.resource, message.secrets);
    this.#report(located);
    if (!isMistake(located)) return { message, good: located, mistake: null };
    const problem = decisiveFaults(located)
      .map((placed) => describePlaced(title, placed))
      .join("; ");
    const sinceMs = known?.mistake?.problem.sinceMs ?? this.#options.clock.nowMs();
    const mayHold = (name: string): boolean => name === message.name;
    const good = known?.good ?? null;
    return { message, good, mistake: { located, problem: { file: title, problem, sinceMs, mayHold } } };
  }

  #report({ file, faults, note }: LocatedComponent): void {
    const { log } = this.#options;
    if (note !== null) log.info(`${file}: ${note}`);
    for (const placed of faults) {
      const line = describePlaced(file, placed);
      if (placed.fault.severity === "error") log.error(line);
      else log.warn(line);
    }
  }
}
