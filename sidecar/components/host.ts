// The Components of this sidecar, from files to open stores, and every change of them at run time (docs/hot-reload.md).
// Puts the parts together: source, plan, secret stores, one slot per state store, probes. Knows no HTTP and no signal.
import type { ComponentDenial } from "#crds/configuration.ts";
import type { Resiliency } from "#crds/resiliency.ts";
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { Metrics } from "../metrics.ts";
import type { Templates } from "../secrets/templates.ts";
import type { Environment } from "../secrets/variables.ts";
import type { ComponentStatus, FileProblem, StoreEntry, StoreTable } from "../state/table.ts";
import { loadDriver as loadRegistered } from "../stores/registry.ts";
import type { LoadDriver } from "./component-type.ts";
import type { LocatedComponent } from "./documents.ts";
import { FileSource } from "./file-source.ts";
import { Gate } from "./gate.ts";
import { HealthProbe } from "./health-probe.ts";
import { type StartFailure, startFailure } from "./naming.ts";
import type { WantedStore } from "./opening.ts";
import type { OperatorFeed } from "./operator-link.ts";
import { OperatorSource } from "./operator-source.ts";
import { isFor, type Plan, type PlannedComponent, planComponents, type RefusedComponent } from "./plan.ts";
import { prepareStore } from "./prepare.ts";
import { Retirement } from "./retirement.ts";
import { SecretStores } from "./secret-stores.ts";
import { StoreSlot } from "./slot.ts";
import type { ComponentSource, SourceFile } from "./source.ts";

/** Most stores that open at the same time. */
const OPENING_MAX = 8;

export interface ComponentsOptions {
  readonly appId: string;
  /** "" when there is none. */
  readonly namespace: string;
  readonly podName: string | null;
  /** Folders of manifests; none is fine. */
  readonly resourcesPaths: readonly string[];
  readonly reconcileMs: number;
  /** How long calls may hold a store that was replaced or removed. */
  readonly drainMs: number;
  readonly env: Environment;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The registry's by default. */
  readonly loadDriver?: LoadDriver;
  /** Types that are not to be loaded, asked anew each time; none by default. */
  readonly denied?: () => readonly ComponentDenial[];
  /** False while the files are not followed; they always are by default. */
  readonly isFollowing?: () => boolean;
  /** Takes the Resiliencies of the files whenever those are read, before the stores of the same files open. */
  readonly onResiliencies?: (resiliencies: readonly Resiliency[]) => Promise<void>;
  /** In a cluster: what the operator has sent, in place of the folders. Its first full set has come. */
  readonly operator?: OperatorFeed | null;
}

/** The start failed. The message has one line per cause, with the phrases that Dapr's log has. */
export class ComponentsError extends Error {
  override readonly name = "ComponentsError";
}

/**
 * Reads the manifests, opens all stores and begins to follow changes. Rejects with a {@link ComponentsError} when a
 * name is given twice, a folder cannot be read, or a Component without `ignoreErrors` cannot be opened; nothing is
 * left open then. In a cluster such a Component does not end the start: {@link ComponentHost.unready} names it.
 */
export async function startComponents(options: ComponentsOptions): Promise<ComponentHost> {
  const host = new ComponentHost(options);
  try {
    await host.start();
    return host;
  } catch (error) {
    await host.close(0);
    throw error;
  }
}

export class ComponentHost implements StoreTable {
  readonly #options: ComponentsOptions;
  readonly #log: Log;
  readonly #source: ComponentSource;
  readonly #secretStores: SecretStores;
  readonly #probe: HealthProbe;
  readonly #retirement: Retirement;
  readonly #gate = new Gate(OPENING_MAX);
  readonly #table = new Map<string, StoreEntry>();
  readonly #slots = new Map<string, StoreSlot>();
  /** The UUIDs that stand for `{uuid}`, by Component, entry and place: they last as long as the Component. */
  readonly #uuids = new Map<string, Map<string, string>>();
  /** By Component: why its file as it is now cannot be used. */
  #problems: ReadonlyMap<string, string> = new Map();
  #resiliencies: readonly Resiliency[] = [];
  #newest: readonly SourceFile[] | null = null;
  /** In a cluster: the resources that the slots were last told of, each the very object that the operator sent. */
  #toldOf: ReadonlySet<unknown> = new Set();
  #applying: Promise<void> | null = null;
  #attempts: readonly Promise<unknown>[] = [];
  /** Those whose failure would have ended the start outside a cluster, until they open or go. */
  #awaited: ReadonlySet<string> = new Set();
  #notes: ReadonlySet<string> = new Set();
  #live = false;
  #closed = false;

  /** Use {@link startComponents}. */
  constructor(options: ComponentsOptions) {
    const { clock, metrics, drainMs } = options;
    const log = options.log.scoped("dapr.runtime.processor");
    this.#options = options;
    this.#log = log;
    this.#retirement = new Retirement({ clock, log, drainMs });
    this.#probe = new HealthProbe({ clock, log, metrics, entries: () => this.#table.values() });
    const templates = (name: string): Templates => this.#templates(name);
    const inCluster = Boolean(options.operator);
    this.#secretStores = new SecretStores({ env: options.env, inCluster, log, metrics, templates });
    this.#source = createSource(options, (files) => this.#change(files));
  }

  get size(): number {
    return this.#table.size;
  }

  find(name: string): StoreEntry | undefined {
    return this.#table.get(name);
  }

  all(): Iterable<StoreEntry> {
    return this.#table.values();
  }

  /** Secret stores first, then state stores in the order in which they were first named. */
  statuses(): readonly ComponentStatus[] {
    const all = [...this.#secretStores.statuses(), ...[...this.#slots.values()].map((slot) => slot.status())];
    return all.map((own) => {
      const status = this.#isBehind(own.name) ? { ...own, isOpening: true } : own;
      // Newer than what the Component itself has: that is of the last content that could be used.
      const problem = this.#problems.get(status.name);
      if (problem === undefined) return status;
      return { ...status, state: status.state === "failed" ? "failed" : "kept", message: problem };
    });
  }

  /** A newer one has come, and its turn has not: changes are gathered, follow each other, or wait for a SIGHUP. */
  #isBehind(name: string): boolean {
    const sent = this.#options.operator?.find("Component", name) ?? null;
    return sent !== null && !this.#toldOf.has(sent.resource);
  }

  /** Why the start is not over, in a cluster; null when it is, and for good. */
  unready(): string | null {
    if (this.#awaited.size === 0) return null;
    const failed = this.statuses().filter(({ name, state }) => state === "failed" && this.#awaited.has(name));
    this.#awaited = new Set(failed.map(({ name }) => name));
    if (failed.length === 0) return null;
    return failed.map(({ name, message }) => `component ${name}: ${message}`).join("; ");
  }

  /** Of the resource folders and their files, whether a Component belongs to them or not. */
  fileProblems(): readonly FileProblem[] {
    return this.#source.problems();
  }

  /** Reads all files again now and resolves when every change was tried once. For SIGHUP. */
  async reload(): Promise<void> {
    if (this.#closed) return;
    const { files, changed } = await this.#source.readNow();
    this.#change(files);
    await this.#applying;
    await Promise.all(this.#attempts);
    this.#log.info("manifests read again", { components: this.statuses().length, changed });
  }

  /** Decides anew about the manifests as they were read last: what is denied may have changed. */
  reconsider(): void {
    if (!this.#closed) this.#change(this.#source.files());
  }

  /** Stops following, takes all stores out, and closes each when its calls have ended or `drainMs` are over. */
  async close(drainMs: number): Promise<void> {
    this.#closed = true;
    await this.#source.close();
    await this.#applying;
    await this.#probe.close();
    for (const slot of this.#slots.values()) slot.remove();
    this.#slots.clear();
    await Promise.all(this.#attempts);
    await this.#retirement.finish(drainMs);
  }

  /** Only for {@link startComponents}. */
  async start(): Promise<void> {
    const files = await this.#source.start().catch((error: unknown) => {
      throw new ComponentsError(`failed to load components: ${error instanceof Error ? error.message : String(error)}`);
    });
    const plan = this.#plan(files);
    if (plan.duplicates.length > 0)
      throw new ComponentsError(`failed to load components: ${plan.duplicates.join("\n")}`);
    const attempts = await this.#apply(plan);
    this.#attempts = attempts;
    this.#noteTold(files);
    const failures = await Promise.all(attempts);
    const fatal = [...this.#secretStores.fatal(), ...failures.filter((failure) => failure !== null)];
    if (fatal.length > 0 && !this.#options.operator)
      throw new ComponentsError(fatal.map(({ text }) => text).join("\n"));
    this.#awaited = new Set(fatal.map(({ name }) => name));
    this.#live = true;
    this.#secretStores.live();
    for (const slot of this.#slots.values()) slot.live();
    this.#source.follow();
    this.#probe.start();
  }

  /** The queue of one: while a set is being applied the newest waits, and replaces one that waited before it. */
  #change(files: readonly SourceFile[]): void {
    this.#newest = files;
    this.#applying ??= this.#applyNewest().finally(() => {
      this.#applying = null;
    });
  }

  async #applyNewest(): Promise<void> {
    while (this.#newest !== null && !this.#closed) {
      const files = this.#newest;
      this.#newest = null;
      const plan = this.#plan(files);
      for (const text of plan.duplicates) this.#log.error(`${text}: the one that is loaded stays`);
      // Handed to the slots, not waited for: a store that is slow to open must not hold up the others' next change.
      this.#attempts = await this.#apply(plan);
      this.#noteTold(files);
    }
  }

  #noteTold(files: readonly SourceFile[]): void {
    const located = files.flatMap(({ components }) => components);
    this.#toldOf = new Set(located.map(({ document }) => document.value));
  }

  #plan(files: readonly SourceFile[]): Plan {
    const { appId, namespace } = this.#options;
    const held = new Set([...this.#secretStores.names(), ...this.#slots.keys()]);
    const denied = this.#options.denied?.() ?? [];
    const plan = planComponents(
      files.flatMap((file) => file.components),
      {
        appId,
        namespace,
        held,
        problems: files.flatMap(({ problem }) => problem ?? []),
        denied,
        inEffect: this.#resiliencies,
      },
    );
    this.#resiliencies = plan.resiliencies;
    const refused = new Set(plan.refused.map(({ name }) => name));
    this.#noteProblems(files, held.difference(refused));
    this.#options.metrics.fileProblems(this.#source.problems().length);
    for (const note of plan.notes) if (!this.#notes.has(note)) this.#log.info(note);
    for (const note of plan.keptNotes) if (!this.#notes.has(note)) this.#log.warn(note);
    this.#notes = new Set([...plan.notes, ...plan.keptNotes]);
    return plan;
  }

  /** A file that cannot be used counts as a failed reload of each Component that stays although the file names it. */
  #noteProblems(files: readonly SourceFile[], staying: ReadonlySet<string>): void {
    const problems = new Map<string, string>();
    for (const { components, problem: found, refused } of files) {
      if (found === null || !refused) continue;
      const { problem } = found;
      for (const { identity } of components) {
        // One of a Resiliency is no Component's, and may be the same.
        const name = identity.kind === "Resiliency" ? "" : (identity.name ?? "");
        if (!staying.has(name) || problems.has(name)) continue;
        problems.set(name, problem);
        if (this.#problems.get(name) !== problem) this.#options.metrics.componentReload(name, false);
      }
    }
    this.#problems = problems;
  }

  /** Gives one promise per state store: what ends a start because of it, or null. */
  async #apply(plan: Plan): Promise<readonly Promise<StartFailure | null>[]> {
    await this.#options.onResiliencies?.(plan.resiliencies);
    const ofSecrets = new Set(this.#secretStores.names());
    const refused = plan.refused.filter(({ name }) => !ofSecrets.has(name));
    await this.#secretStores.replace(
      plan.secretStores,
      plan.refused.filter(({ name }) => ofSecrets.has(name)),
    );
    await this.#source.alsoFollow(this.#secretStores.files());
    const prepared = await Promise.all(plan.stores.map((planned) => this.#prepare(planned)));
    if (this.#closed) return [];
    const attempts = [...refused, ...prepared].map((each) => this.#want(each));
    const named = new Set([
      ...plan.stores.map(({ component }) => component.name),
      ...plan.refused.map(({ name }) => name),
    ]);
    for (const [name, slot] of this.#slots) {
      if (named.has(name)) continue;
      slot.remove();
      this.#slots.delete(name);
      this.#uuids.delete(name);
      this.#log.info(`Component ${name} is removed`);
    }
    return attempts;
  }

  #prepare(planned: PlannedComponent): Promise<WantedStore | RefusedComponent> {
    return prepareStore(planned, {
      env: this.#options.env,
      templates: this.#templates(planned.component.name),
      secretStore: this.#secretStores.lookup,
      brought: planned.located.brought,
      loadDriver: this.#options.loadDriver ?? loadRegistered,
    });
  }

  /** Gives what ends a start because of this Component, or null. */
  async #want(wanted: WantedStore | RefusedComponent): Promise<StartFailure | null> {
    const slot = this.#slot(wanted.name);
    if ("reason" in wanted) {
      slot.refuse(wanted);
      return wanted.failure === null ? null : this.#failure(wanted.name, wanted.reason, wanted.endsStart);
    }
    const reason = await slot.want(wanted);
    return reason === null ? null : this.#failure(wanted.name, reason, !wanted.ignoreErrors);
  }

  /** The slot has told the reason in full when this is called. */
  #failure(name: string, reason: string, endsStart: boolean): StartFailure | null {
    if (endsStart) return startFailure(name, reason);
    if (!this.#live)
      this.#log.error(
        `Ignoring error processing component: process component ${name} error: it has ignoreErrors, the start goes on without it`,
      );
    return null;
  }

  #slot(name: string): StoreSlot {
    const known = this.#slots.get(name);
    if (known !== undefined) return known;
    const { appId, clock, random, metrics } = this.#options;
    const [log, gate, retirement, table] = [this.#log, this.#gate, this.#retirement, this.#table];
    const slot = new StoreSlot(name, { appId, clock, random, metrics, log, gate, retirement, table }, this.#live);
    this.#slots.set(name, slot);
    return slot;
  }

  #templates(component: string): Templates {
    const { appId, namespace, podName, random } = this.#options;
    const uuids = this.#uuids.get(component) ?? new Map<string, string>();
    this.#uuids.set(component, uuids);
    const uuid = (entry: string, nth: number): string => {
      const place = `${entry}#${nth}`;
      const known = uuids.get(place) ?? random.uuid();
      uuids.set(place, known);
      return known;
    };
    return { appId, namespace, podName, uuid };
  }
}

function createSource(options: ComponentsOptions, onChange: (files: readonly SourceFile[]) => void): ComponentSource {
  const { reconcileMs, clock, operator } = options;
  const isFollowing = options.isFollowing ?? (() => true);
  if (operator) {
    const log = options.log.scoped("dapr.runtime.loader.kubernetes");
    return new OperatorSource({ feed: operator, reconcileMs, isFollowing, clock, log, onChange });
  }
  const log = options.log.scoped("dapr.runtime.loader.disk");
  const concerns = ({ identity }: LocatedComponent): boolean => isFor(identity, options);
  return new FileSource({ folders: options.resourcesPaths, reconcileMs, isFollowing, clock, log, concerns, onChange });
}
