// Which of the Components in the files this sidecar is to have: namespace, scopes, building block, names given twice
// (dapr-state-api.md 5). Pure: opens nothing and looks nothing up.
import type { Component } from "#crds/component.ts";
import type { ComponentDenial } from "#crds/configuration.ts";
import type { Resiliency } from "#crds/resiliency.ts";
import { describeFault } from "#kit/fault.ts";
import { typeOf } from "../stores/registry.ts";
import { blockOf, meantVersion } from "./component-type.ts";
import { decisiveFaults, describePlaced, isMistake, type LocatedComponent } from "./documents.ts";
import type { SourceProblem } from "./file-problem.ts";
import { initFailure, title, versionOf } from "./naming.ts";

export interface PlanScope {
  readonly appId: string;
  /** "" when the sidecar has no namespace. */
  readonly namespace: string;
  /** Names that have a store now, or are to have one: one of these is not given up for a document with a mistake. */
  readonly held: ReadonlySet<string>;
  /** Of the files that were found. */
  readonly problems: readonly SourceProblem[];
  /** Types that the Configuration does not allow. */
  readonly denied: readonly ComponentDenial[];
  /** The Resiliencies that count now. */
  readonly inEffect: readonly Resiliency[];
}

/** A Component that this sidecar is to have, with its place for messages. */
export interface PlannedComponent {
  readonly component: Component;
  /** In lower case after the first dot. */
  readonly type: string;
  readonly located: LocatedComponent;
}

export interface Plan {
  readonly stores: readonly PlannedComponent[];
  readonly secretStores: readonly PlannedComponent[];
  /** Names that occur but cannot be used as they are: what serves under them stays. */
  readonly refused: readonly RefusedComponent[];
  /** One text for each repetition of a name, with Dapr's phrase. */
  readonly duplicates: readonly string[];
  /** What is passed over, one sentence each. */
  readonly notes: readonly string[];
  /** Who stays only because a file cannot be read, and who is denied, one sentence each. */
  readonly keptNotes: readonly string[];
  /** Those for this sidecar, in the order of the files. */
  readonly resiliencies: readonly Resiliency[];
}

export interface RefusedComponent {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  /** The whole reason, with Dapr's phrase where there is one. */
  readonly reason: string;
  /** What the failure counts as in the metrics; null for what Dapr's loader passes over: the log has it already. */
  readonly failure: "creation" | "init" | null;
  /** Without it at a start the process must not go on. */
  readonly endsStart: boolean;
}

export function planComponents(found: readonly LocatedComponent[], scope: PlanScope): Plan {
  const own = found.flatMap((located) => {
    const { component } = located;
    return component !== null && isFor(component, scope) ? [{ component, located }] : [];
  });
  const isDenied = (component: Component): boolean => scope.denied.some((denial) => fits(denial, component));
  const denied = own.flatMap(({ component }) => (isDenied(component) ? [component] : []));
  const chosen = own.filter(({ component }) => !denied.includes(component));
  const duplicates: string[] = [];
  const repeated = new Set<string>();
  const first = new Map<string, Component>();
  for (const { component } of chosen) {
    const existing = first.get(component.name);
    if (existing === undefined) first.set(component.name, component);
    else {
      repeated.add(component.name);
      duplicates.push(`duplicate definition of Component name ${title(component)} with existing ${title(existing)}`);
    }
  }
  const plan = { stores: [] as PlannedComponent[], secretStores: [] as PlannedComponent[], notes: [] as string[] };
  // One that is denied goes, whatever mistake came to stand under its name since.
  const deniedNames = new Set(denied.map(({ name }) => name));
  const refused = refusedBySchema(found, scope, deniedNames.union(first));
  for (const { component, located } of chosen) {
    if (!repeated.has(component.name)) assign(component, located, plan, refused);
    else if (first.get(component.name) === component) refused.push(refuseRepeated(component));
  }
  const lost = lostNames(scope.held.difference(deniedNames), [...plan.stores, ...plan.secretStores], refused);
  const kept = lost.flatMap((name) => keepUnread(name, scope.problems));
  refused.push(...kept.map((each) => each.refused));
  const keptNotes = [...kept.map(({ note }) => note), ...denied.map(deniedNote)];
  return { ...plan, refused, duplicates, keptNotes, resiliencies: planResiliencies(found, scope) };
}

/** As with Components, one that no file holds any more stays while a file that cannot be read may hold it. */
function planResiliencies(found: readonly LocatedComponent[], scope: PlanScope): readonly Resiliency[] {
  const now = found.flatMap(({ resiliency }) => (resiliency !== null && isFor(resiliency, scope) ? [resiliency] : []));
  const names = new Set(found.map(({ resiliency }) => resiliency?.name));
  const mayBeHeld = (name: string): boolean => scope.problems.some(({ mayHold }) => mayHold(name));
  return [...now, ...scope.inEffect.filter(({ name }) => !names.has(name) && mayBeHeld(name))];
}

/**
 * By what the names mean, however either side spells them: a denial must not be passed by under an alias, or by a version
 * that the manifest leaves out.
 */
function fits(denial: ComponentDenial, component: Component): boolean {
  const type = component.type.toLowerCase();
  if (typeOf(type) !== typeOf(denial.type)) return false;
  return denial.version === null || meantVersion(type, denial.version) === meantVersion(type, component.version);
}

function deniedNote(component: Component): string {
  return `Component ${title(component)} is not loaded: components.deny of the Configuration has its type`;
}

function lostNames(
  held: ReadonlySet<string>,
  planned: readonly PlannedComponent[],
  refused: readonly RefusedComponent[],
): string[] {
  const found = new Set([...planned.map(({ component }) => component.name), ...refused.map(({ name }) => name)]);
  return [...held.difference(found)];
}

/**
 * One that no file holds any more stays while a file that cannot be read may hold it: it was moved there, perhaps.
 * Only a file that names it counts, so that one that is broken for good does not keep every Component for ever.
 */
function keepUnread(
  name: string,
  problems: readonly SourceProblem[],
): { readonly refused: RefusedComponent; readonly note: string }[] {
  const found = problems.find(({ mayHold }) => mayHold(name));
  if (found === undefined) return [];
  const reason = `no other file holds it, so it stays until this is mended: ${found.problem}`;
  const note = `Component ${name} is kept until ${found.file} can be used, which may hold it; no other file does`;
  return [{ refused: { name, type: "", version: "v1", reason, failure: null, endsStart: false }, note }];
}

/** Empty scopes are for every app. A namespace counts only when both sides have one. */
export function isFor(
  component: Pick<Component, "namespace" | "scopes">,
  { appId, namespace }: Pick<PlanScope, "appId" | "namespace">,
): boolean {
  if (namespace !== "" && component.namespace !== null && component.namespace !== namespace) return false;
  return component.scopes.length === 0 || component.scopes.includes(appId);
}

function assign(
  component: Component,
  located: LocatedComponent,
  plan: { stores: PlannedComponent[]; secretStores: PlannedComponent[]; notes: string[] },
  refused: RefusedComponent[],
): void {
  const block = blockOf(component.type);
  if (block.block === "state") plan.stores.push({ component, type: block.type, located });
  else if (block.block === "secretstores") plan.secretStores.push({ component, type: block.type, located });
  else if (block.block === "other")
    plan.notes.push(`Component ${title(component)} is passed over: Pannier has no building block ${block.name}`);
  else refused.push(refuseType(component, `incorrect type ${component.type}: ${describeFault(block.fault)}`));
}

function refuseType(component: Component, why: string): RefusedComponent {
  const { name, type, ignoreErrors } = component;
  const reason = initFailure("INIT", title(component), why);
  return { name, type, version: versionOf(component), reason, failure: "init", endsStart: !ignoreErrors };
}

/** At run time only: at a start a repeated name is fatal before this is looked at. */
function refuseRepeated(component: Component): RefusedComponent {
  const { name, type } = component;
  const reason = `the name ${JSON.stringify(name)} is given to several Components: none of them is taken over`;
  return { name, type, version: versionOf(component), reason, failure: null, endsStart: false };
}

/**
 * The documents with mistakes whose name can be told, each name once: those that mean to be a state store, and all
 * under a name that is held. Not under a name that is `decided`: there the other document counts.
 */
function refusedBySchema(
  found: readonly LocatedComponent[],
  scope: PlanScope,
  decided: ReadonlySet<string>,
): RefusedComponent[] {
  const refused = new Map<string, RefusedComponent>();
  for (const located of found) {
    const { name, type, kind } = located.identity;
    if (!isMistake(located) || kind === "Resiliency" || !name || decided.has(name) || refused.has(name)) continue;
    if (!isFor(located.identity, scope)) continue;
    const meansStore = kind === "Component" && type?.startsWith("state.") === true;
    if (meansStore || scope.held.has(name)) refused.set(name, refuseMistake(name, located));
  }
  return [...refused.values()];
}

function refuseMistake(name: string, located: LocatedComponent): RefusedComponent {
  const reason = decisiveFaults(located)
    .map((placed) => describePlaced(located.file, placed))
    .join("; ");
  return { name, type: located.identity.type ?? "", version: "v1", reason, failure: null, endsStart: false };
}
