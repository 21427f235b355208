// The Configuration that is in effect, and its changes: files are read again from time to time, the operator tells, and the
// last good content stays while the newest cannot be used. Knows nobody who goes by it.
import type { Configuration } from "#crds/configuration.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import { sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { apiAccess, type IsAllowed } from "./api-access.ts";
import { waitingChanges } from "./fixed.ts";
import { type ConfigurationContent, ConfigurationError, type ConfigurationOrigin } from "./origin.ts";

/** How long changed files must stay as they are before they count: half a file may be a whole Configuration. */
const SETTLE_MS = 250;

export interface ConfigurationOptions {
  readonly origin: ConfigurationOrigin;
  /** How often an origin that does not tell its changes is read again. */
  readonly reconcileMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A file or resource that cannot be used as it is. */
export interface ConfigurationProblem {
  readonly file: string;
  /** Without any secret. */
  readonly problem: string;
  readonly sinceMs: number;
}

/** Features that are on unless a Configuration turns them off (dapr-state-api.md 8.1). */
const FEATURES_BY_DEFAULT: readonly string[] = ["HotReload"];

export class ConfigurationSource {
  readonly #options: ConfigurationOptions;
  readonly #started: Configuration;
  #current: Configuration;
  #isAllowed: IsAllowed;
  #digest: string;
  #problem: ConfigurationProblem | null = null;
  readonly #listeners: ((now: Configuration) => void)[] = [];
  #foreign: ReadonlySet<string> = new Set();
  #timer: Timer | null = null;
  #unsubscribe = (): void => undefined;
  #looking: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  private constructor(options: ConfigurationOptions, { digest }: ConfigurationContent, current: Configuration) {
    this.#options = options;
    this.#digest = digest;
    this.#started = current;
    this.#current = current;
    this.#isAllowed = apiAccess(current);
  }

  /** Reads the origin. Rejects with a {@link ConfigurationError} when something is missing or wrong. */
  static async open(options: ConfigurationOptions): Promise<ConfigurationSource> {
    const content = await options.origin.read();
    const { configuration, warnings } = content.decode();
    const source = new ConfigurationSource(options, content, configuration);
    source.#tell(configuration, warnings);
    return source;
  }

  get current(): Configuration {
    return this.#current;
  }

  /** By the Configuration that is in effect when it is asked. */
  readonly isAllowed: IsAllowed = (protocol, group) => this.#isAllowed(protocol, group);

  feature(name: string): boolean {
    return this.#current.features.get(name) ?? FEATURES_BY_DEFAULT.includes(name);
  }

  /** Names of the features that are on. */
  enabledFeatures(): readonly string[] {
    return [...new Set([...FEATURES_BY_DEFAULT, ...this.#current.features.keys()])].filter((name) =>
      this.feature(name),
    );
  }

  problems(): readonly ConfigurationProblem[] {
    return this.#problem === null ? [] : [this.#problem];
  }

  /** Told each Configuration that takes effect after the first. */
  onChange(listener: (now: Configuration) => void): void {
    this.#listeners.push(listener);
  }

  /** Begins to follow changes. */
  follow(): void {
    const { origin } = this.#options;
    if (origin.onChange === undefined) {
      if (!origin.isFixed) this.#lookLater();
      return;
    }
    const look = (): void => void this.#serially(() => this.#lookAsTold());
    this.#unsubscribe = origin.onChange(look);
    // What came between the first reading and this.
    look();
  }

  /** Reads the origin now and resolves when a change has taken effect. Gives whether there was one. For SIGHUP. */
  async reload(): Promise<boolean> {
    let changed = false;
    await this.#serially(async () => {
      changed = await this.#look(false);
    });
    return changed;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#unsubscribe();
    this.#timer?.cancel();
    await this.#looking;
  }

  #lookLater(): void {
    if (this.#closing.signal.aborted) return;
    const { clock, reconcileMs } = this.#options;
    this.#timer = clock.after(reconcileMs, () => {
      void this.#serially(async () => {
        // Whoever turned hot reload off wants changes at SIGHUP only, this one's too.
        if (this.feature("HotReload")) await this.#look(true);
        this.#lookLater();
      });
    });
  }

  async #lookAsTold(): Promise<void> {
    if (this.feature("HotReload")) await this.#look(false);
  }

  /** A look does not reject. */
  #serially(look: () => Promise<unknown>): Promise<unknown> {
    this.#looking = this.#looking.then(() => (this.#closing.signal.aborted ? undefined : look()));
    return this.#looking;
  }

  /** `settle`: a change counts only when it is still the same a moment later. */
  async #look(settle: boolean): Promise<boolean> {
    const { origin, clock } = this.#options;
    try {
      const content = await origin.read();
      if (content.digest === this.#digest) {
        this.#problem = null;
        return false;
      }
      if (settle) {
        if (!(await sleep(clock, SETTLE_MS, this.#closing.signal))) return false;
        if ((await origin.read()).digest !== content.digest) return false;
      }
      const { configuration, warnings } = content.decode();
      this.#take(content.digest, configuration, warnings);
      return true;
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      this.#refuse(error);
      return false;
    }
  }

  #take(digest: string, configuration: Configuration, warnings: readonly string[]): void {
    this.#digest = digest;
    this.#problem = null;
    this.#current = configuration;
    this.#isAllowed = apiAccess(configuration);
    this.#options.log.info("the Configuration has changed");
    const waiting = waitingChanges(this.#started, configuration);
    if (waiting.length > 0)
      this.#options.log.warn("changes of the Configuration that wait for a restart", { members: waiting.join(", ") });
    this.#tell(configuration, warnings);
    for (const listener of this.#listeners) listener(configuration);
  }

  #refuse({ file, message }: ConfigurationError): void {
    const { clock, log } = this.#options;
    const problem = `${message}: the last good Configuration stays`;
    if (this.#problem?.problem === problem) return;
    log.error(problem);
    this.#problem = { file, problem, sinceMs: this.#problem?.sinceMs ?? clock.nowMs() };
  }

  #tell({ withoutEffect }: Configuration, warnings: readonly string[]): void {
    for (const warning of warnings) this.#options.log.warn(warning);
    const news = withoutEffect.filter((path) => !this.#foreign.has(path));
    this.#foreign = new Set(withoutEffect);
    if (news.length > 0)
      this.#options.log.warn("the Configuration has members without effect here", { members: news.join(", ") });
  }
}
