// The resource folders as a set of Components that follows the files. Keeps the last good content of each file: one
// that is half written, empty or gone for a moment changes nothing. Opens no store and knows no app.
import { dirname, join } from "node:path";
import type { Clock, Timer } from "#kit/clock.ts";
import { describeFault } from "#kit/fault.ts";
import type { Log } from "#kit/log.ts";
import { decisiveFaults, describePlaced, isMistake, type LocatedComponent, locateComponents } from "./documents.ts";
import { listManifests, type ManifestFile, readManifestFile } from "./manifest-files.ts";
import { isFile, Settling, signatureOf, signatureOfGone } from "./settling.ts";

/** How often the files' sizes and times are looked at. */
const LOOK_EVERY_MS = 500;
/** From one look to the next while something settles. */
const LOOK_AGAIN_MS = 130;
/** Most mistakes of one file that its problem tells. */
const MISTAKES_TOLD_MAX = 5;

export interface SourceFile {
  readonly path: string;
  /** Of the last content that could be used, and behind them the mistakes of what the file holds now. */
  readonly components: readonly LocatedComponent[];
  /** Why what the file holds now is not used; null when it is. */
  readonly problem: string | null;
}

export interface FileSourceOptions {
  readonly folders: readonly string[];
  /** How often everything is read again whatever the files' times say. */
  readonly reconcileMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a document with a mistake could be meant for this sidecar. */
  readonly concerns: (mistake: LocatedComponent) => boolean;
  /** Told the whole set after each change. */
  readonly onChange: (files: readonly SourceFile[]) => void;
}

interface Known {
  readonly signature: string;
  /** Of the last content that could be used, as are `components`. */
  readonly digest: string;
  readonly components: readonly LocatedComponent[];
  readonly problem: string | null;
  /** The documents that are the problem, as far as they could be read. */
  readonly mistakes: readonly LocatedComponent[];
}

/** What a look came to, for one file. */
type Outcome = "changed" | "same" | "waiting";

export class FileSource {
  readonly #options: FileSourceOptions;
  readonly #known = new Map<string, Known>();
  /** Of the manifests. */
  readonly #settling: Settling;
  /** Files besides the manifests whose change is a change (secrets), with their last signature. */
  #followed = new Map<string, string>();
  /** Of the followed files, apart from the manifests': one file may be both. */
  readonly #followedSettling: Settling;
  #order: readonly string[] = [];
  readonly #complaints = new Map<string, string>();
  #timer: Timer | null = null;
  #looking: Promise<unknown> = Promise.resolve();
  #reconciledAtMs: number;
  #started = false;
  #closed = false;

  constructor(options: FileSourceOptions) {
    this.#options = options;
    this.#settling = new Settling(options.clock);
    this.#followedSettling = new Settling(options.clock);
    this.#reconciledAtMs = options.clock.monotonicMs();
  }

  /** Reads everything for the first time. Rejects when a folder cannot be read. */
  async start(): Promise<readonly SourceFile[]> {
    for (const folder of this.#options.folders) {
      await listManifests(folder).catch((error: unknown) => {
        throw new Error(`resources path ${JSON.stringify(folder)} cannot be read: want a folder (${codeOf(error)})`);
      });
    }
    await this.#look({ everything: true, settle: false });
    this.#started = true;
    return this.files();
  }

  /** Begins to follow changes. */
  follow(): void {
    this.#lookIn(LOOK_EVERY_MS);
  }

  /** Reads everything now, without waiting for files to settle; gives the whole set, and whether it is another one. */
  async readNow(): Promise<{ readonly files: readonly SourceFile[]; readonly changed: boolean }> {
    let changed = false;
    await this.#serially(async () => {
      changed = (await this.#look({ everything: true, settle: false })).changed;
    });
    return { files: this.files(), changed };
  }

  /** Has the change of these files told too; replaces the former ones. */
  async alsoFollow(paths: readonly string[]): Promise<void> {
    const followed = new Map<string, string>();
    for (const path of paths) followed.set(path, this.#followed.get(path) ?? (await signatureOf(path)));
    this.#followed = followed;
    for (const path of this.#followedSettling.paths()) if (!followed.has(path)) this.#followedSettling.forget(path);
  }

  /** In the order of the folders, by name in each. */
  files(): readonly SourceFile[] {
    return this.#order.flatMap((path) => {
      const known = this.#known.get(path);
      if (known === undefined) return [];
      const { components, problem, mistakes } = known;
      const usable = problem === null ? components : components.filter((each) => !isMistake(each));
      return [{ path, components: [...usable, ...mistakes], problem }];
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#looking;
  }

  #lookIn(delayMs: number): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(delayMs, () => void this.#serially(() => this.#lookAround()));
  }

  /** Two looks at once would each see the other's half. A look does not reject. */
  #serially(look: () => Promise<unknown>): Promise<unknown> {
    this.#looking = this.#looking.then(() => (this.#closed ? undefined : look()));
    return this.#looking;
  }

  async #lookAround(): Promise<void> {
    const { clock, reconcileMs, onChange } = this.#options;
    const everything = clock.monotonicMs() - this.#reconciledAtMs >= reconcileMs;
    if (everything) this.#reconciledAtMs = clock.monotonicMs();
    const { changed, waiting } = await this.#look({ everything, settle: true });
    if (changed && !this.#closed) onChange(this.files());
    this.#lookIn(waiting ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
  }

  async #look(how: { everything: boolean; settle: boolean }): Promise<{ changed: boolean; waiting: boolean }> {
    const seen = await this.#signatures();
    const outcomes = new Set<Outcome>();
    for (const [path, signature] of seen) outcomes.add(await this.#takeIfNew(path, signature, how));
    // Last, and not while another file settles: one that was only renamed must be known by its new name first.
    for (const path of new Set([...this.#known.keys(), ...this.#settling.paths()]).difference(seen))
      outcomes.add(await this.#drop(path, how.settle, outcomes.has("waiting")));
    this.#order = [...seen.keys()];
    outcomes.add(await this.#lookAtFollowed(how.settle));
    return { changed: outcomes.has("changed"), waiting: outcomes.has("waiting") };
  }

  async #takeIfNew(path: string, signature: string, how: { everything: boolean; settle: boolean }): Promise<Outcome> {
    const same = signature === this.#known.get(path)?.signature;
    if (same) this.#settling.forget(path);
    if (same && !how.everything) return "same";
    if (!same && how.settle && !this.#settling.settled(path, signature)) return "waiting";
    this.#settling.forget(path);
    return this.#take(path, signature);
  }

  /** `othersWait`: only a file that has been gone for long is dropped then. */
  async #drop(path: string, settle: boolean, othersWait: boolean): Promise<Outcome> {
    if (!this.#known.has(path)) {
      this.#settling.forget(path);
      return "same";
    }
    const settled = !settle || this.#settling.settled(path, await signatureOfGone(dirname(path)));
    if (!settled || (othersWait && settle && !this.#settling.goneForLong(path))) return "waiting";
    this.#settling.forget(path);
    this.#known.delete(path);
    return "changed";
  }

  async #lookAtFollowed(settle: boolean): Promise<Outcome> {
    let outcome: Outcome = "same";
    for (const [path, before] of this.#followed) {
      const signature = await signatureOf(path);
      if (signature === before) this.#followedSettling.forget(path);
      else if (settle && !this.#followedSettling.settled(path, signature)) outcome = "waiting";
      else {
        this.#followedSettling.forget(path);
        this.#followed.set(path, signature);
        return "changed";
      }
    }
    return outcome;
  }

  /** All manifests there are, in order. A folder that cannot be read keeps the files it had. */
  async #signatures(): Promise<Map<string, string>> {
    const seen = new Map<string, string>();
    for (const folder of this.#options.folders) {
      const listed = await listManifests(folder).catch((error: unknown) => codeOf(error));
      if (typeof listed === "string") {
        this.#complain(folder, `folder ${folder} cannot be read (${listed}): its Components stay as they are`);
        for (const path of this.#order) {
          const known = dirname(path) === dirname(join(folder, "_")) ? this.#known.get(path) : undefined;
          if (known !== undefined) seen.set(path, known.signature);
        }
        continue;
      }
      this.#complain(folder, listed.left > 0 ? `folder ${folder}: ${listed.left} files too many, not read` : null);
      for (const path of listed.files) {
        const signature = await signatureOf(path);
        if (isFile(signature)) seen.set(path, signature);
      }
    }
    return seen;
  }

  async #take(path: string, signature: string): Promise<Outcome> {
    const file = await readManifestFile(path).catch((error: unknown) => codeOf(error));
    if (typeof file === "string") return this.#unreadable(path, file);
    // Changed while it was read: what was read is no state that the file had.
    if ((await signatureOf(path)) !== signature) return "waiting";
    this.#complain(path, null);
    const before = this.#known.get(path);
    if (before?.digest === file.digest) {
      this.#known.set(path, { ...before, signature, problem: null, mistakes: [] });
      return before.problem === null ? "same" : "changed";
    }
    const components = locateComponents(path, file.manifest);
    const mistakes = this.#mistakes(components, before?.components ?? []);
    const problem = this.#started ? problemOf(file, mistakes, before?.components ?? []) : null;
    if (problem !== null) return this.#refuse({ path, signature, mistakes }, problem);
    this.#known.set(path, { signature, digest: file.digest, components, problem: null, mistakes: [] });
    this.#report(path, file, components);
    return "changed";
  }

  /** Those for this sidecar, and those under a name that the file held: such a one may have been for it. */
  #mistakes(now: readonly LocatedComponent[], before: readonly LocatedComponent[]): LocatedComponent[] {
    const names = new Set(before.map(({ identity }) => identity.name));
    return now.filter((each) => isMistake(each) && (this.#options.concerns(each) || names.has(each.identity.name)));
  }

  /** Keeps what the file held before. */
  #refuse(now: Pick<Known, "signature" | "mistakes"> & { readonly path: string }, reason: string): Outcome {
    const { path, signature, mistakes } = now;
    const before = this.#known.get(path) ?? { digest: "", components: [], problem: null };
    const problem = `${path} cannot be used as it is, the last good content stays: ${reason}`;
    this.#known.set(path, { ...before, signature, problem, mistakes });
    if (before.problem === problem) return "same";
    this.#options.log.error(problem);
    return "changed";
  }

  #unreadable(path: string, code: string): Outcome {
    // Gone between the look and the reading: the next look finds it so.
    if (code === "ENOENT") return "waiting";
    this.#complain(path, `${path} cannot be read (${code}): what it held before stays`);
    return "same";
  }

  #report(path: string, { manifest }: ManifestFile, components: readonly LocatedComponent[]): void {
    const { log } = this.#options;
    for (const fault of manifest.faults) log.error(describePlaced(path, fault));
    for (const located of components) {
      if (located.note !== null) log.info(`${path}:${located.document.line}: ${located.note}`);
      for (const placed of located.faults) {
        const line = describePlaced(path, placed);
        if (placed.fault.severity === "error") log.error(line);
        else log.warn(line);
      }
    }
  }

  /** Says a thing about a path once, until there is something else to say. */
  #complain(path: string, message: string | null): void {
    if (message !== null && this.#complaints.get(path) !== message) this.#options.log.error(message);
    if (message === null) this.#complaints.delete(path);
    else this.#complaints.set(path, message);
  }
}

/**
 * Why this content must not replace what is known; null when all of it is clean. One mistake is enough: nobody can tell
 * which of the known Components a document that cannot be read was meant to be.
 */
function problemOf(
  file: ManifestFile,
  mistakes: readonly LocatedComponent[],
  before: readonly LocatedComponent[],
): string | null {
  if (file.blank) return "it is empty";
  if (file.foreign && before.length > 0) return "it has no apiVersion any more";
  const placed = [...file.manifest.faults, ...mistakes.flatMap(decisiveFaults)];
  if (placed.length === 0) return null;
  const told = placed.slice(0, MISTAKES_TOLD_MAX).map(({ fault, line }) => `line ${line}: ${describeFault(fault)}`);
  const more = placed.length - told.length;
  return more === 0 ? told.join("; ") : `${told.join("; ")}; and ${more} more`;
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
