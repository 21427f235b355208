// The lists that `kubectl get` prints as the documents that are in them, each with its own lines. Only the check looks into
// them: a sidecar passes over a list as Dapr does. Knows no kind but that of lists.
import type { ManifestDocument, PlacedFault } from "#crds/manifest.ts";

export interface Unlisted {
  readonly documents: readonly ManifestDocument[];
  /** Those that were lists, with their kinds. */
  readonly lists: readonly { readonly kind: string; readonly line: number }[];
  /** What is wrong with a list itself, and so with none of its items. */
  readonly faults: readonly PlacedFault[];
}

/** The documents, and in place of a list its items, those of lists within it too. */
export function unlisted(documents: readonly ManifestDocument[]): Unlisted {
  const parts = documents.map((document): Unlisted => {
    const list = listOf(document.value);
    if (list === null) return { documents: [document], lists: [], faults: [] };
    const within = unlisted(list.items.map((value, index) => itemOf(document, value, index)));
    const own = document.faults.filter(({ fault }) => !IN_ITEM.test(fault.field));
    const one = { kind: list.kind, line: document.line };
    return { ...within, lists: [one, ...within.lists], faults: [...own, ...within.faults] };
  });
  return {
    documents: parts.flatMap((part) => part.documents),
    lists: parts.flatMap((part) => part.lists),
    faults: parts.flatMap((part) => part.faults),
  };
}

const IN_ITEM = /^items\[\d+\]/;

/** `List`, and what the API server itself answers with, as `ComponentList`. */
function listOf(value: unknown): { readonly kind: string; readonly items: readonly unknown[] } | null {
  if (typeof value !== "object" || value === null || !("kind" in value) || !("items" in value)) return null;
  const { kind, items } = value;
  return typeof kind === "string" && kind.endsWith("List") && Array.isArray(items) ? { kind, items } : null;
}

/** The item as a document of its own: paths begin at it, and it has the faults and scalars that stand in it. */
function itemOf(list: ManifestDocument, value: unknown, index: number): ManifestDocument {
  const place = `items[${index}]`;
  const isWithin = (path: string): boolean => path === place || path.startsWith(`${place}.`);
  const within = (path: string): string => path.slice(place.length + 1);
  return {
    value,
    line: list.lineOf(place),
    faults: list.faults
      .filter(({ fault }) => isWithin(fault.field))
      .map(({ fault, line }) => ({ fault: { ...fault, field: within(fault.field) }, line })),
    respelled: list.respelled
      .filter(({ path }) => isWithin(path))
      .map((scalar) => ({ ...scalar, path: within(scalar.path) })),
    lineOf: (path) => list.lineOf(path === "" ? place : `${place}.${path}`),
  };
}
