// What is wrong with a Component as far as that can be told without its secrets, its variables and its store. The one
// judgement of `pannier check` and of the operator's status. Opens nothing.
import type { Component } from "#crds/component.ts";
import type { FieldTable } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { findSecretStoreType, SECRET_STORES } from "../secrets/registry.ts";
import { lackingPackages, type NeededPackage } from "../stores/packages.ts";
import { loadDriver, loadPluggable } from "../stores/registry.ts";
import { blockOf, chooseDriver } from "./component-type.ts";
import { coreFields } from "./core-fields.ts";
import { decodeStore } from "./decode.ts";
import { judgeOffline } from "./offline.ts";

export interface Judgement {
  readonly faults: readonly Fault[];
  /** What tells which fields may be shown; none where the kind of store is not known. */
  readonly tables: readonly FieldTable<object>[];
}

export interface JudgementOptions {
  /** In a cluster a secretKeyRef without `auth.secretStore` means Kubernetes' own secrets. */
  readonly inCluster: boolean;
  /** Types, in lower case, that a pluggable component serves where the Component will be used. */
  readonly pluggable: readonly string[];
}

/** Judges a Component or the draft of one; faults of its shape are not told again. */
export async function judgeComponent(component: Component, options: JudgementOptions): Promise<Judgement> {
  const { inCluster, pluggable } = options;
  // That it is missing is told already.
  if (component.type === "") return { faults: [], tables: [] };
  const block = blockOf(component.type);
  if (block.block === "unknown") return { faults: [block.fault], tables: [] };
  if (block.block === "other") return { faults: [], tables: [] };
  const references = inCluster ? [] : withoutSecretStore(component);
  if (block.block === "secretstores") {
    const kind = findSecretStoreType(block.type);
    if (kind === null) return { faults: [unknownSecretStore(component.type)], tables: [] };
    const tables = [kind.fields];
    const faults = judgeOffline(component, tables, (properties) => kind.prepare(properties).faults);
    return { faults: [...references, ...faults], tables };
  }
  const load = pluggable.includes(block.type) ? loadPluggable : loadDriver;
  const chosen = await chooseDriver(block.type, component.version, load);
  if ("fault" in chosen) return { faults: [chosen.fault], tables: [] };
  const tables = [coreFields, chosen.driver.fields];
  const rounds: (readonly NeededPackage[])[] = [];
  const faults = judgeOffline(component, tables, (properties) => {
    const decoded = decodeStore(chosen.driver, properties);
    rounds.push(decoded.packages);
    return decoded.faults;
  });
  // The operator opens no store, and the image has every package.
  const lacking = inCluster ? [] : await packageFaults(neededEachTime(rounds));
  return { faults: [...references, ...faults, ...lacking], tables };
}

/** The packages that are needed whatever the secrets hold: each round judged other stand-ins for them. */
function neededEachTime([first = [], ...others]: readonly (readonly NeededPackage[])[]): readonly NeededPackage[] {
  return first.filter(({ name }) => others.every((round) => round.some((needed) => needed.name === name)));
}

async function packageFaults(needed: readonly NeededPackage[]): Promise<readonly Fault[]> {
  const lacking = await lackingPackages(needed);
  return lacking.map(({ field, error }) => {
    const want = `a way to sign in whose package is installed: ${error.message}`;
    return { severity: "error", field, got: null, want, hint: null };
  });
}

/** In a cluster the default is Kubernetes' own secrets, so offline it is no more than a warning. */
function withoutSecretStore(component: Component): readonly Fault[] {
  const reference = component.metadata.find(({ source }) => source.kind === "secret");
  if (reference === undefined || component.secretStore !== null) return [];
  const hint = "outside Kubernetes there is no default: set it to the name of a secret store Component";
  return [
    { severity: "warning", field: reference.name, got: null, want: "auth.secretStore beside secretKeyRef", hint },
  ];
}

function unknownSecretStore(type: string): Fault {
  const want = `one of ${SECRET_STORES.map((each) => each.type).join(", ")}`;
  const hint = "Components that take secrets from it cannot be opened";
  return { severity: "warning", field: "spec.type", got: type, want, hint };
}
