// Stand-ins for what only a running sidecar knows, so that a manifest can be judged without it: secrets, variables and
// templates count as given, and nothing is said about their values. Used by `pannier check` only.
import type { Component, MetadataEntry } from "#crds/component.ts";
import { type FieldTable, fieldFinder, type Property } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { fillTemplates } from "../secrets/templates.ts";
import { CORE_FIELD_NAMES } from "./core-fields.ts";

const TEMPLATES = {
  appId: "app",
  namespace: "default",
  podName: "pod-0",
  uuid: (): string => "00000000-0000-4000-8000-000000000000",
};

/** Tried in this order on a field whose value is not known: the first that the field can read stands for it. */
const STAND_INS = ["unknown", "1", "true", "1s", "00000000000000000000000000000000"];

/** The Component's properties with stand-ins, to decode with `tables`. */
export function offlineProperties(component: Component, tables: readonly FieldTable<object>[]): readonly Property[] {
  const find = fieldFinder(tables);
  return component.metadata.map((entry) => {
    const { name, source } = entry;
    const known = source.kind === "value" ? fillTemplates(source.text, entry, TEMPLATES) : null;
    if (typeof known === "string") return { name, value: known, secret: false };
    const field = find(name);
    const value = STAND_INS.find((each) => field !== undefined && "value" in field.read(each)) ?? STAND_INS[0] ?? "";
    return { name, value, secret: true };
  });
}

/** Without those that judge a stand-in. */
export function withoutStandIns(faults: readonly Fault[], component: Component): readonly Fault[] {
  const unknown = new Set(component.metadata.filter(isUnknown).map(({ name }) => name.toLowerCase()));
  // Warnings are about names, which are known; a core field is refused for being there, whatever its value.
  const certain = ({ severity, field }: Fault): boolean => severity === "warning" || CORE_FIELD_NAMES.includes(field);
  return faults.filter((fault) => certain(fault) || !unknown.has(fault.field.toLowerCase()));
}

function isUnknown({ source }: MetadataEntry): boolean {
  return source.kind !== "value";
}
