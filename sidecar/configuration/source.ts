// The Configuration that is in effect, and its changes: the files are read again from time to time, and the last good
// content stays while they cannot be used. Knows nobody who goes by it.
import type { Configuration } from "#crds/configuration.ts";
import type { Clock, Timer } from "#kit/clock.ts";
import { sleep } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import { apiAccess, type IsAllowed } from "./api-access.ts";
import { ConfigurationError, type ConfigurationTexts, decodeTexts, readTexts } from "./files.ts";
import { waitingChanges } from "./fixed.ts";
import type { Environment } from "./variables.ts";

/** How long changed files must stay as they are before they count: half a file may be a whole Configuration. */
const SETTLE_MS = 250;

export interface ConfigurationOptions {
  /** In the order of the command line; later ones override earlier ones, member by member. None is fine. */
  readonly files: readonly string[];
  readonly env: Environment;
  readonly reconcileMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** A file that cannot be used as it is. */
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
  #looking: Promise<unknown> = Promise.resolve();
  readonly #closing = new AbortController();

  private constructor(options: ConfigurationOptions, texts: ConfigurationTexts, current: Configuration) {
    this.#options = options;
    this.#digest = texts.digest;
    this.#started = current;
    this.#current = current;
    this.#isAllowed = apiAccess(current);
  }

  /** Reads the files. Rejects with a {@link ConfigurationError} when one is missing or wrong. */
  static async open(options: ConfigurationOptions): Promise<ConfigurationSource> {
    const texts = await readTexts(options.files);
    const { configuration, warnings } = decodeTexts(texts, options.env);
    const source = new ConfigurationSource(options, texts, configuration);
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

  /** Begins to read the files again and again. */
  follow(): void {
    if (this.#options.files.length > 0) this.#lookLater();
  }

  /** Reads the files now and resolves when a change has taken effect. Gives whether there was one. For SIGHUP. */
  async reload(): Promise<boolean> {
    let changed = false;
    await this.#serially(async () => {
      changed = await this.#look(false);
    });
    return changed;
  }

  async close(): Promise<void> {
    this.#closing.abort();
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

  /** A look does not reject. */
  #serially(look: () => Promise<unknown>): Promise<unknown> {
    this.#looking = this.#looking.then(() => (this.#closing.signal.aborted ? undefined : look()));
    return this.#looking;
  }

  /** `settle`: a change counts only when it is still the same a moment later. */
  async #look(settle: boolean): Promise<boolean> {
    const { files, env, clock } = this.#options;
    try {
      const texts = await readTexts(files);
      if (texts.digest === this.#digest) {
        this.#problem = null;
        return false;
      }
      if (settle) {
        if (!(await sleep(clock, SETTLE_MS, this.#closing.signal))) return false;
        if ((await readTexts(files)).digest !== texts.digest) return false;
      }
      const { configuration, warnings } = decodeTexts(texts, env);
      this.#take(texts.digest, configuration, warnings);
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
