// Warns where a plain YAML scalar of a Component comes out with another text than it was written with.
// Knows no driver: the caller says of which fields the text may be shown.
import type { Fault } from "#kit/fault.ts";
import type { Respelled } from "./compose.ts";
import type { ManifestDocument, PlacedFault } from "./manifest.ts";

/** Members that are read as text. An ignoreErrors: yes is none of them: there the boolean is meant. */
const TEXT_PATHS =
  /^(metadata\.(name|namespace)|spec\.(type|version|initTimeout)|auth\.secretStore|scopes\[\d+\]|spec\.metadata\[\d+\]\.(name|envRef|secretKeyRef\.(name|key)|value\b.*))$/i;

const VALUE_PATH = /^spec\.metadata\[(\d+)\]\.value/i;

/** `mayShow` is told the name of a metadata entry whose text would stand in the warning. */
export function quotingFaults(document: ManifestDocument, mayShow: (name: string) => boolean): PlacedFault[] {
  return document.respelled
    .filter((scalar) => TEXT_PATHS.test(scalar.path))
    .map((scalar) => ({ fault: quotingFault(scalar, document.value, mayShow), line: document.lineOf(scalar.path) }));
}

function quotingFault(scalar: Respelled, document: unknown, mayShow: (name: string) => boolean): Fault {
  const index = VALUE_PATH.exec(scalar.path)?.[1];
  const name = index === undefined ? null : entryName(document, Number(index));
  const field = name ?? scalar.path;
  if (index !== undefined && (name === null || !mayShow(name))) {
    const want = "quotes around the value: without them its text changes";
    return { severity: "warning", field, got: null, want, hint: null };
  }
  const reader = scalar.here ? "it is read as" : "Dapr keeps it, but other readers of YAML make it";
  const want = `quotes around it: ${reader} ${JSON.stringify(scalar.read)}`;
  const hint = `write "${scalar.written}" if that text is meant`;
  return { severity: "warning", field, got: scalar.written, want, hint };
}

function entryName(document: unknown, index: number): string | null {
  const entries = member(member(document, "spec"), "metadata");
  const name = Array.isArray(entries) ? member(entries[index], "name") : null;
  return typeof name === "string" ? name : null;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([each]) => each.toLowerCase() === name)?.[1];
}
