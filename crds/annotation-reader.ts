// From a pod's annotations to settings and faults: both prefixes, every fault at once, a warning for what has no effect.
// Knows the table and no pod.
import { type Fault, hasErrors } from "#kit/fault.ts";
import { nearest } from "#kit/nearest.ts";
import {
  ANNOTATIONS,
  ANNOTATIONS_WITHOUT_EFFECT,
  type AnnotationName,
  type AnnotationSettings,
  INJECTED_BY,
  INJECTED_COMPONENTS,
  LABELS_BEFORE,
  PREFIXES,
} from "./annotations.ts";
import { valueText } from "./json-text.ts";

/** As they stand in a manifest: a value that is no text is a fault, but may come. */
export type Annotations = Readonly<Record<string, unknown>>;

export interface ReadAnnotations {
  /** Frozen; null when a fault is an error. */
  readonly settings: AnnotationSettings | null;
  readonly faults: readonly Fault[];
}

/** The gate, the same for everyone who asks: "true" in any case under one of the prefixes (dapr-kubernetes.md 2.2, 7.3). */
export function isEnabled(annotations: Annotations, prefixes: readonly string[] = PREFIXES): boolean {
  return prefixes.some((prefix) => isOpen(annotations[`${prefix}enabled`]));
}

function isOpen(value: unknown): boolean {
  return String(value ?? "").toLowerCase() === "true";
}

/**
 * Reads all annotations under our prefixes. `defaults` stand for what is not given, before the table's own. Errors: a
 * wrong value, a value that is no text, two prefixes that disagree. Warnings: a name that there is not, one that changes
 * nothing here.
 */
export function readAnnotations(annotations: Annotations, defaults: Partial<AnnotationSettings> = {}): ReadAnnotations {
  const faults: Fault[] = [];
  const settings: Record<string, unknown> = {};
  for (const name of NAMES) settings[name] = readOne(name, { annotations, defaults }, faults);
  let warnings = 0;
  for (const key of Object.keys(annotations)) {
    const fault = withoutMeaning(key, annotations[key], warnings < GUESSES_MAX);
    if (fault === null) continue;
    faults.push(fault);
    warnings++;
  }
  // Every name of the table was set above, by the table's own readers.
  return { faults, settings: hasErrors(faults) ? null : Object.freeze(settings as unknown as AnnotationSettings) };
}

const NAMES = Object.keys(ANNOTATIONS) as AnnotationName[];
/** Names of which the nearest one is looked for: a pod may come with tens of thousands that nobody will read of. */
const GUESSES_MAX = 50;

/** The keys under which an annotation is known, Dapr's first. */
export function keysOf(name: AnnotationName): readonly string[] {
  return PREFIXES.filter((prefix) => prefix === "pannier.io/" || !ANNOTATIONS[name].own).map((each) => each + name);
}

interface Given {
  readonly annotations: Annotations;
  readonly defaults: Partial<AnnotationSettings>;
}

function readOne(name: AnnotationName, { annotations, defaults }: Given, faults: Fault[]): unknown {
  const { read, hidden } = ANNOTATIONS[name];
  const fallback = defaults[name] ?? ANNOTATIONS[name].fallback;
  const given = keysOf(name).filter((key) => annotations[key] !== undefined && annotations[key] !== null);
  const [key, other] = given;
  if (key === undefined) return fallback;
  const text = annotations[key];
  // Dapr's gate may be shut where Pannier's is open: that keeps Dapr's injector away from the pod.
  if (name === "enabled" && other !== undefined && isOpen(annotations[other])) return true;
  if (other !== undefined && annotations[other] !== text) {
    faults.push(error(key, null, `the same value as ${other}, or only one of the two`));
    return fallback;
  }
  if (typeof text !== "string") {
    faults.push(error(key, hidden ? null : valueText(text), "text: put the value in quotes"));
    return fallback;
  }
  // Else an empty one would be the table's own default, past that of whoever runs the injector.
  if (text === "" && defaults[name] !== undefined) return fallback;
  const reading = read(text);
  if ("value" in reading) return reading.value;
  faults.push(error(key, hidden ? null : text, reading.want));
  return fallback;
}

function error(field: string, got: string | null, want: string): Fault {
  return { severity: "error", field, got, want, hint: null };
}

/** What injection itself puts on a pod. */
const MARKS: readonly string[] = [INJECTED_BY, LABELS_BEFORE, INJECTED_COMPONENTS];

/** A warning for a key under our prefixes that changes nothing; null for every other key. */
function withoutMeaning(key: string, value: unknown, mayGuess: boolean): Fault | null {
  const prefix = PREFIXES.find((each) => key.startsWith(each));
  if (prefix === undefined || MARKS.includes(key)) return null;
  const name = key.slice(prefix.length);
  if (NAMES.some((each) => each === name && keysOf(each).includes(key))) return null;
  const why = Object.hasOwn(ANNOTATIONS_WITHOUT_EFFECT, name) ? ANNOTATIONS_WITHOUT_EFFECT[name] : undefined;
  if (why !== undefined) {
    const asksForNothing = value === "" || value === "0" || String(value).toLowerCase() === "false";
    return asksForNothing ? null : warning(key, "nothing: it has no effect here", why);
  }
  const known = [...NAMES, ...Object.keys(ANNOTATIONS_WITHOUT_EFFECT)];
  const own = NAMES.find((each) => each === name);
  const near = own ?? (mayGuess ? nearest(name, known) : null);
  const hint = near === null ? "it has no effect" : `it has no effect; did you mean ${keyLike(prefix, near)}?`;
  return warning(key, "an annotation that there is", hint);
}

/** The key of `name` under the prefix that the mistyped one has, where it is known there. */
function keyLike(prefix: (typeof PREFIXES)[number], name: string): string {
  const own = Object.hasOwn(ANNOTATIONS, name) && ANNOTATIONS[name as AnnotationName].own;
  return own ? `pannier.io/${name}` : prefix + name;
}

function warning(field: string, want: string, hint: string): Fault {
  return { severity: "warning", field, got: null, want, hint };
}
