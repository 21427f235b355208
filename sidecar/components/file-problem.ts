// What is wrong with a manifest file, and which Components may stand in what cannot be used of it. Opens no file.
import { describeFault } from "#kit/fault.ts";
import type { FileProblem } from "../state/table.ts";
import { decisiveFaults, type LocatedComponent } from "./documents.ts";
import type { ManifestFile } from "./manifest-files.ts";

/** Most mistakes of one file that its problem tells. */
const MISTAKES_TOLD_MAX = 5;

export interface SourceProblem extends FileProblem {
  /** Whether a Component of this name may stand in the file. */
  readonly mayHold: (name: string) => boolean;
}

/** A file as it is now, beside what is known of it. */
export interface FileContent {
  readonly file: ManifestFile;
  readonly components: readonly LocatedComponent[];
  /** Those of `components` that count as mistakes. */
  readonly mistakes: readonly LocatedComponent[];
  /** What the file held when it could be used last. */
  readonly before: readonly LocatedComponent[];
}

/**
 * Why this content must not replace what is known; null when all of it is clean. One mistake is enough: nobody can tell
 * which of the known Components a document that cannot be read was meant to be.
 * `starting`: there is nothing to replace, and what can be read is used.
 */
export function findMistakes({ file, components, mistakes, before }: FileContent, starting: boolean): string | null {
  if (file.blank && before.length > 0) return "it is empty";
  if (file.foreign && before.length > 0) return "it has no apiVersion any more";
  const placed = [...file.manifest.faults, ...mistakes.flatMap(decisiveFaults)];
  // Documents that are no manifests, where nothing of ours is or was: somebody else's file, which draws warnings only.
  const atStake =
    !starting &&
    (before.length > 0 || components.some(({ component, resiliency }) => component !== null || resiliency !== null));
  if (!atStake && placed.every(({ fault }) => fault.severity === "warning")) return null;
  const told = placed.slice(0, MISTAKES_TOLD_MAX).map(({ fault, line }) => `line ${line}: ${describeFault(fault)}`);
  const more = placed.length - told.length;
  if (told.length === 0) return null;
  return more === 0 ? told.join("; ") : `${told.join("; ")}; and ${more} more`;
}

/**
 * Tells which Components a text may hold that cannot be parsed: those that it gives as a `name`, however badly it is
 * written. `text` null: nobody can tell what the file holds, so it may hold any.
 */
export function namesIn(text: string | null): (name: string) => boolean {
  if (text === null) return () => true;
  const withoutRemarks = text.replaceAll(/^[ \t]*#.*$/gm, "");
  return (name) => nameEntry(name).test(withoutRemarks);
}

/**
 * `name: orders`, `"name":"orders"`, also with an anchor or tag, a quote or blank forgotten, or on the next line.
 * What may repeat is bounded: no text takes long.
 */
function nameEntry(name: string): RegExp {
  const key = String.raw`(?<![\p{L}\p{N}_-])(?i:name)["']?[\s:=]{1,200}(?:[!&|>]\S{0,200}\s{1,200}){0,3}["']?`;
  return new RegExp(`${key}${RegExp.escape(name)}${String.raw`(?![\p{L}\p{N}_.-])`}`, "u");
}
