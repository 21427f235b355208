// The resource folders as a set of Components that follows the files. Keeps the last good content of each file: one
// that is half written, empty or gone for a moment changes nothing. Opens no store and knows no app.
import { dirname, join } from "node:path";
import type { Clock, Timer } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { FileProblem } from "../state/table.ts";
import { describePlaced, isMistake, type LocatedComponent, locateComponents } from "./documents.ts";
import { findMistakes, namesIn, type SourceProblem } from "./file-problem.ts";
import { listManifests, type ManifestFile, NotRegularFile, readManifestFile } from "./manifest-files.ts";
import { isFile, Settling, signatureOf, signatureOfGone } from "./settling.ts";
import type { ComponentSource, SourceFile } from "./source.ts";

/** How often the files' sizes and times are looked at. */
const LOOK_EVERY_MS = 500;
/** From one look to the next while something settles. */
const LOOK_AGAIN_MS = 130;

export interface FileSourceOptions {
  readonly folders: readonly string[];
  /** How often everything is read again whatever the files' times say. */
  readonly reconcileMs: number;
  /** Asked before each look that nobody asked for: false while changes are to wait for {@link FileSource.readNow}. */
  readonly isFollowing: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether a document with a mistake could be meant for this sidecar. */
  readonly concerns: (mistake: LocatedComponent) => boolean;
  /** Told the whole set after each change. */
  readonly onChange: (files: readonly SourceFile[]) => void;
}

/** What a file held when it could be used last. */
interface Content {
  readonly digest: string;
  readonly components: readonly LocatedComponent[];
  /** Why it was not used as a whole. Only of what the sidecar started with: later such content is refused. */
  readonly problem: SourceProblem | null;
}

/** What a file holds now and what cannot be used. */
interface Refusal {
  readonly digest: string;
  /** The documents that are the problem, as far as they could be read. */
  readonly mistakes: readonly LocatedComponent[];
  readonly problem: SourceProblem;
}

interface Known {
  readonly signature: string;
  readonly good: Content;
  readonly refused: Refusal | null;
}

const NOTHING_YET: Known = { signature: "", good: { digest: "", components: [], problem: null }, refused: null };

/** What a look came to, for one file. */
type Outcome = "changed" | "same" | "waiting";

export class FileSource implements ComponentSource {
  readonly #options: FileSourceOptions;
  readonly #known = new Map<string, Known>();
  /** Of the manifests. */
  readonly #settling: Settling;
  /** Files besides the manifests whose change is a change (secrets), with their last signature. */
  #followed = new Map<string, string>();
  /** Of the followed files, apart from the manifests': one file may be both. */
  readonly #followedSettling: Settling;
  #order: readonly string[] = [];
  /** By folder. */
  #folderProblems: ReadonlyMap<string, SourceProblem> = new Map();
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
    return this.#order.flatMap((path): SourceFile[] => {
      const known = this.#known.get(path);
      if (known === undefined) return [];
      const { good, refused } = known;
      if (refused === null) return [{ path, components: good.components, problem: good.problem, refused: false }];
      const usable = good.components.filter((each) => !isMistake(each));
      return [{ path, components: [...usable, ...refused.mistakes], problem: refused.problem, refused: true }];
    });
  }

  /** Of all folders and files, as they are now. */
  problems(): readonly FileProblem[] {
    return [...this.#folderProblems.values(), ...this.files().flatMap(({ problem }) => problem ?? [])];
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
    const { clock, reconcileMs, isFollowing, onChange } = this.#options;
    if (!isFollowing()) return this.#lookIn(LOOK_EVERY_MS);
    const everything = clock.monotonicMs() - this.#reconciledAtMs >= reconcileMs;
    if (everything) this.#reconciledAtMs = clock.monotonicMs();
    const { changed, waiting } = await this.#look({ everything, settle: true });
    if (changed && !this.#closed) onChange(this.files());
    this.#lookIn(waiting ? LOOK_AGAIN_MS : LOOK_EVERY_MS);
  }

  async #look(how: { everything: boolean; settle: boolean }): Promise<{ changed: boolean; waiting: boolean }> {
    const { seen, complaints } = await this.#signatures();
    const outcomes = new Set<Outcome>([this.#noteFolders(complaints)]);
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
    const outcome = await this.#take(path, signature);
    // One that could not be read is tried at every look, and is no news for that.
    if (this.#known.get(path)?.signature === signature) this.#settling.forget(path);
    return outcome;
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

  /** All manifests there are, in order. A folder that cannot be read keeps the files it had, and is complained of. */
  async #signatures(): Promise<{ seen: Map<string, string>; complaints: Map<string, string> }> {
    const seen = new Map<string, string>();
    const complaints = new Map<string, string>();
    for (const folder of this.#options.folders) {
      const listed = await listManifests(folder).catch((error: unknown) => codeOf(error));
      if (typeof listed === "string") {
        complaints.set(folder, `folder ${folder} cannot be read (${listed}): its Components stay as they are`);
        for (const path of this.#order) {
          const known = dirname(path) === dirname(join(folder, "_")) ? this.#known.get(path) : undefined;
          if (known !== undefined) seen.set(path, known.signature);
        }
        continue;
      }
      if (listed.left > 0) complaints.set(folder, `folder ${folder}: ${listed.left} files too many, not read`);
      for (const path of listed.files) {
        const signature = await signatureOf(path);
        if (isFile(signature)) seen.set(path, signature);
      }
    }
    return { seen, complaints };
  }

  /** Says each complaint once, until there is another one. */
  #noteFolders(complaints: ReadonlyMap<string, string>): Outcome {
    const before = this.#folderProblems;
    const same = ([folder, problem]: [string, string]): boolean => before.get(folder)?.problem === problem;
    if (before.size === complaints.size && [...complaints].every(same)) return "same";
    for (const entry of complaints) if (!same(entry)) this.#options.log.error(entry[1]);
    this.#folderProblems = new Map(
      [...complaints].map(([file, problem]) => [
        file,
        // What a folder held stays as it is anyway; Components of other folders do not wait for it.
        { file, problem, sinceMs: this.#since(before.get(file)), mayHold: () => false },
      ]),
    );
    return "changed";
  }

  async #take(path: string, signature: string): Promise<Outcome> {
    const file = await readManifestFile(path).catch((error: unknown) => ({ error }));
    if ("error" in file) return this.#unreadable(path, file.error);
    // Changed while it was read: what was read is no state that the file had.
    if ((await signatureOf(path)) !== signature) return "waiting";
    const known = this.#known.get(path) ?? NOTHING_YET;
    if (known.good.digest === file.digest) {
      this.#known.set(path, { ...known, signature, refused: null });
      return known.refused === null ? "same" : "changed";
    }
    const { digest } = file;
    const before = known.good.components;
    const components = await locateComponents(path, file.manifest);
    const mistakes = this.#mistakes(components, before);
    const reason = findMistakes({ file, components, mistakes, before }, !this.#started);
    const problemThat = (what: string): SourceProblem => this.#problem(path, `${path} ${what}: ${reason}`, file.text);
    if (reason !== null && this.#started) {
      const problem = problemThat("cannot be used as it is, the last good content stays");
      return this.#refuse(path, { signature, refused: { digest, mistakes, problem } });
    }
    const problem = reason === null ? null : problemThat("is used only as far as it can be read");
    this.#known.set(path, { signature, good: { digest, components, problem }, refused: null });
    this.#report(path, file, components);
    return "changed";
  }

  /** Those for this sidecar, and those under a name that the file held: such a one may have been for it. */
  #mistakes(now: readonly LocatedComponent[], before: readonly LocatedComponent[]): LocatedComponent[] {
    const names = new Set(before.map(({ identity }) => identity.name));
    return now.filter((each) => isMistake(each) && (this.#options.concerns(each) || names.has(each.identity.name)));
  }

  #problem(file: string, problem: string, text: string | null): SourceProblem {
    const known = this.#known.get(file);
    const before = known?.refused?.problem ?? known?.good.problem;
    return { file, problem, sinceMs: this.#since(before), mayHold: namesIn(text) };
  }

  /** One problem after another is one time without a good state. */
  #since(before: FileProblem | null | undefined): number {
    return before?.sinceMs ?? this.#options.clock.nowMs();
  }

  /** Keeps what the file held before. */
  #refuse(path: string, now: { readonly signature: string; readonly refused: Refusal }): Outcome {
    const known = this.#known.get(path) ?? NOTHING_YET;
    const { digest, problem } = now.refused;
    this.#known.set(path, { ...known, ...now });
    const sameProblem = known.refused?.problem.problem === problem.problem;
    if (!sameProblem) this.#options.log.error(problem.problem);
    return sameProblem && known.refused?.digest === digest ? "same" : "changed";
  }

  #unreadable(path: string, error: unknown): Outcome {
    const code = codeOf(error);
    // Gone between the look and the reading: the next look finds it so.
    if (code === "ENOENT") return "waiting";
    const text = error instanceof NotRegularFile ? "" : null;
    const problem = this.#problem(path, `${path} cannot be read (${code}): what it held before stays`, text);
    // No signature, so that it is tried again: what keeps a file from being read need not show in its size and times.
    return this.#refuse(path, { signature: "", refused: { digest: "", mistakes: [], problem } });
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
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
