// Stand-ins for what only a running sidecar knows, so that a manifest can be judged without it: secrets, variables and
// templates count as given, and nothing is said about their values. Used by `pannier check` only.
import type { Component, MetadataEntry } from "#crds/component.ts";
import { type Field, type FieldTable, fieldFinder, type Property } from "#crds/fields.ts";
import { describeFault, type Fault } from "#kit/fault.ts";
import { propertyOf } from "../secrets/resolve.ts";
import { fillTemplates } from "../secrets/templates.ts";
import { CORE_FIELD_NAMES } from "./core-fields.ts";

const TEMPLATES = {
  appId: "app",
  namespace: "default",
  podName: "pod-0",
  uuid: (): string => "00000000-0000-4000-8000-000000000000",
};

/** Tried on a field whose value is not known: those that the field can read stand for it. Far apart on purpose. */
const STAND_INS = [
  "unknown",
  "1",
  "2",
  "true",
  "1s",
  "00000000000000000000000000000000",
  "100",
  "5m",
  "100000",
  "false",
  "none",
];

/**
 * The faults of a Component that are certain whatever its secrets hold. `judge` gives those of its properties; it is
 * asked once for each stand-in, and a fault that is not there each time, word for word, judges a stand-in.
 */
export function judgeOffline(
  component: Component,
  tables: readonly FieldTable<object>[],
  judge: (properties: readonly Property[]) => readonly Fault[],
): readonly Fault[] {
  const unknown = new Set(component.metadata.filter(isUnknown).map(({ name }) => name.toLowerCase()));
  const find = fieldFinder(tables);
  const [first = [], ...others] = (unknown.size === 0 ? [""] : STAND_INS).map((_, nth) =>
    judge(component.metadata.map((entry) => offlineProperty(entry, find(entry.name), nth))),
  );
  const lasting = others.reduce(
    (kept, other) => kept.filter((fault) => other.some((each) => isSame(each, fault))),
    first,
  );
  // Without a value shown a warning is about a name, which is known, and so is an error about a name of no table; a core
  // field is refused for being there at all, or for where its value comes from.
  const certain = ({ severity, field, got }: Fault): boolean =>
    (severity === "warning" && got === null) || CORE_FIELD_NAMES.includes(field) || find(field) === undefined;
  return lasting.filter((fault) => certain(fault) || !unknown.has(fault.field.toLowerCase()));
}

/** `nth`: which of the stand-ins that fit, in a circle. */
function offlineProperty(entry: MetadataEntry, field: Field<unknown> | undefined, nth: number): Property {
  const { name, source } = entry;
  const known = source.kind === "value" ? fillTemplates(source.text, entry, TEMPLATES) : null;
  if (typeof known === "string") return { name, value: known, secret: false };
  const fitting = STAND_INS.filter((each) => field !== undefined && "value" in field.read(each));
  const value = fitting[nth % fitting.length] ?? STAND_INS[0] ?? "";
  // A source that could not be read (crds/component.ts, `draft`) has its fault already, and may have been any.
  const unreadable = source.kind === "env" && source.variable === "";
  return unreadable ? { name, value, secret: true, secretRef: UNKNOWN_REFERENCE } : propertyOf(entry, value);
}

const UNKNOWN_REFERENCE = { name: "unknown", key: "unknown" };

function isSame(left: Fault, right: Fault): boolean {
  return describeFault(left) === describeFault(right) && left.severity === right.severity;
}

function isUnknown({ source }: MetadataEntry): boolean {
  return source.kind !== "value";
}
