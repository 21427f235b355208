// The secret stores of the loaded Components, opened again at each change of the files. One that cannot be opened any
// more keeps its last good content. Never holds or tells a value itself.
import { hasErrors } from "#kit/fault.ts";
import type { Log } from "#kit/log.ts";
import type { Metrics } from "../metrics.ts";
import { findSecretStoreType, SECRET_STORES } from "../secrets/registry.ts";
import { type ResolveContext, resolveProperties, type SecretLookup } from "../secrets/resolve.ts";
import { type SecretStore, SecretStoreError } from "../secrets/store.ts";
import type { Templates } from "../secrets/templates.ts";
import type { Environment } from "../secrets/variables.ts";
import type { ComponentStatus } from "../state/table.ts";
import { describePlaced, placeByName } from "./documents.ts";
import { initFailure, type StartFailure, startFailure, title, versionOf } from "./naming.ts";
import type { PlannedComponent, RefusedComponent } from "./plan.ts";
import { faultWithoutSecrets, withoutSecrets } from "./redaction.ts";

export interface SecretStoresOptions {
  readonly env: Environment;
  readonly inCluster: boolean;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly templates: (component: string) => Templates;
}

/** What became of one secret store Component. */
interface Outcome {
  readonly planned: PlannedComponent;
  /** The last good one when `problem` is set; null when there never was one. */
  readonly store: SecretStore | null;
  readonly problem: string | null;
  /** Files that it is made of, also of one that could not be opened. */
  readonly files: readonly string[];
}

export class SecretStores {
  readonly #options: SecretStoresOptions;
  #outcomes: ReadonlyMap<string, Outcome> = new Map();
  /** False until the sidecar serves, as for the slots of state stores. */
  #reloading = false;

  constructor(options: SecretStoresOptions) {
    this.#options = options;
  }

  /** The start is over: from now on a change is a reload. */
  live(): void {
    this.#reloading = true;
  }

  names(): Iterable<string> {
    return this.#outcomes.keys();
  }

  /**
   * Opens all of them anew; one that is refused stays as it is. Failures are in `statuses`; the log has each once,
   * that of a refused one from whoever refused it.
   */
  async replace(planned: readonly PlannedComponent[], refused: readonly RefusedComponent[]): Promise<void> {
    const before = this.#outcomes;
    const outcomes = new Map(refused.flatMap((each) => this.#keep(each)));
    const opening = new Map([...outcomes].map(([name, outcome]) => [name, Promise.resolve(outcome)]));
    const byName = new Map(planned.map((each) => [each.component.name, each]));
    // A secret store may take its own fields from another one, so each is opened when it is first asked for.
    const open = (name: string, asking: readonly string[]): Promise<Outcome> | null => {
      if (asking.includes(name)) return null;
      const wanted = byName.get(name);
      const known = opening.get(name);
      if (known !== undefined || wanted === undefined) return known ?? null;
      const opened = this.#open(wanted, before.get(name), (other) => open(other, [...asking, name]));
      opening.set(name, opened);
      return opened;
    };
    for (const name of byName.keys()) {
      const outcome = await open(name, []);
      if (outcome !== null) outcomes.set(name, outcome);
    }
    this.#outcomes = outcomes;
  }

  readonly lookup: SecretLookup = (name) => {
    const outcome = this.#outcomes.get(name);
    if (outcome === undefined) return Promise.resolve({ missing: NOT_LOADED });
    return Promise.resolve(outcome.store ?? { missing: outcome.problem ?? NOT_LOADED });
  };

  files(): readonly string[] {
    return [...this.#outcomes.values()].flatMap((outcome) => outcome.files);
  }

  statuses(): readonly ComponentStatus[] {
    return [...this.#outcomes].map(([name, { planned, store, problem }]) => {
      const failed = store === null ? "failed" : "kept";
      const version = versionOf(planned.component);
      return {
        name,
        type: planned.type,
        version,
        state: problem === null ? "ready" : failed,
        message: problem,
        isOpening: false,
      };
    });
  }

  /** The init failures that end a start. */
  fatal(): readonly StartFailure[] {
    return [...this.#outcomes].flatMap(([name, { planned, problem }]) =>
      problem === null || planned.component.ignoreErrors || findSecretStoreType(planned.type) === null
        ? []
        : [startFailure(name, problem)],
    );
  }

  async #open(
    planned: PlannedComponent,
    before: Outcome | undefined,
    other: (name: string) => Promise<Outcome> | null,
  ): Promise<Outcome> {
    const { component, type, located } = planned;
    const kind = findSecretStoreType(type);
    if (kind === null) return { planned, store: null, problem: unknownType(type), files: [] };
    const secretStore: SecretLookup = async (name) => {
      const outcome = await other(name);
      return outcome?.store ?? { missing: outcome?.problem ?? NOT_LOADED };
    };
    const context: ResolveContext = {
      env: this.#options.env,
      templates: this.#options.templates(component.name),
      secretStore,
      brought: located.brought,
    };
    const resolved = await resolveProperties(component, context);
    const prepared = kind.prepare(resolved.properties);
    const secrets = resolved.properties.filter(({ secret }) => secret).map(({ value }) => value);
    const faults = [...resolved.faults, ...prepared.faults].map((fault) => faultWithoutSecrets(fault, secrets));
    const told = faults.map((fault) => describePlaced(located.file, placeByName(fault, component, located.document)));
    if (hasErrors(faults)) return this.#failed(planned, before, told.join("; "), prepared.files);
    try {
      const store = await prepared.open(this.#options);
      if (before?.store == null || before.problem !== null) {
        for (const warning of told) this.#options.log.warn(warning);
        this.#options.log.info(`Component loaded: ${title({ ...component, type })}`);
        this.#countReload(component.name, true);
      }
      return { planned, store, problem: null, files: prepared.files };
    } catch (error) {
      if (!(error instanceof SecretStoreError)) throw error;
      return this.#failed(planned, before, withoutSecrets(error.message, secrets), prepared.files);
    }
  }

  #failed(planned: PlannedComponent, before: Outcome | undefined, why: string, files: readonly string[]): Outcome {
    const { component, type } = planned;
    const titled = title({ ...component, type });
    const problem = initFailure("INIT", titled, why);
    if (before?.problem !== problem) {
      const kept = before?.store ? " (its last good content stays)" : "";
      this.#options.log.error(`Failed to init component ${titled}: ${problem}${kept}`);
      this.#countReload(component.name, false);
    }
    return { planned, store: before?.store ?? null, problem, files };
  }

  #keep({ name, reason }: RefusedComponent): [string, Outcome][] {
    const before = this.#outcomes.get(name);
    if (before === undefined) return [];
    if (before.problem !== reason) this.#countReload(name, false);
    return [[name, { ...before, problem: reason }]];
  }

  #countReload(name: string, success: boolean): void {
    if (this.#reloading) this.#options.metrics.componentReload(name, success);
  }
}

const NOT_LOADED = "no secret store Component of that name is loaded";

function unknownType(type: string): string {
  return `its type ${type} is none of ${SECRET_STORES.map((each) => each.type).join(", ")}`;
}
