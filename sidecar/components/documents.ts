// A manifest's documents as Components and Resiliencies with their place: what the sidecar loads and `pannier check`
// reports on. Knows neither app nor scope.
import {
  type Component,
  type DocumentIdentity,
  documentIdentity,
  documentKind,
  parseComponent,
} from "#crds/component.ts";
import type { SecretPart } from "#crds/distribution.ts";
import type { Manifest, ManifestDocument, PlacedFault } from "#crds/manifest.ts";
import type { Resiliency } from "#crds/resiliency.ts";
import { describeFault, type Fault, hasErrors } from "#kit/fault.ts";
import { decodeResiliency } from "../resiliency/resource.ts";

export interface LocatedComponent {
  readonly file: string;
  readonly document: ManifestDocument;
  readonly identity: DocumentIdentity;
  /** Null when the document is no Component, or has an error fault. */
  readonly component: Component | null;
  /** What can be read of a document that means to be a Component, whatever is wrong with it; for finding more faults. */
  readonly draft: Component | null;
  /** Null when the document is no Resiliency, or has an error fault. */
  readonly resiliency: Resiliency | null;
  /** Of the document, before any driver has seen it. */
  readonly faults: readonly PlacedFault[];
  /** Why the document is passed over without being a mistake; null when it is not. */
  readonly note: string | null;
  /** The secrets that came with it from the operator; null for a manifest of a file. */
  readonly brought: readonly SecretPart[] | null;
}

export function locateComponents(file: string, manifest: Manifest): Promise<LocatedComponent[]> {
  return Promise.all(manifest.documents.map((document) => locate(file, document, null)));
}

/** A resource that is no text: without lines, and with the secrets that its references mean. */
export function locateResource(
  title: string,
  value: unknown,
  brought: readonly SecretPart[],
): Promise<LocatedComponent> {
  return locate(title, { value, line: 0, faults: [], respelled: [], lineOf: () => 0 }, brought);
}

async function locate(
  file: string,
  document: ManifestDocument,
  brought: readonly SecretPart[] | null,
): Promise<LocatedComponent> {
  const identity = documentIdentity(document.value);
  const what = documentKind(document.value);
  const base = { file, document, identity, component: null, draft: null, resiliency: null, note: null, brought };
  if (what.kind === "other") return { ...base, faults: [], note: what.note };
  const mistakes = what.kind === "mistake" ? [place(what.fault, document)] : [];
  const all = (own: readonly Fault[]): PlacedFault[] => [
    ...mistakes,
    ...document.faults,
    ...own.map((fault) => place(fault, document)),
  ];
  const isBroken = (faults: readonly PlacedFault[]): boolean => hasErrors(faults.map((each) => each.fault));
  if (identity.kind === "Resiliency") {
    const parsed = await decodeResiliency(document.value);
    const faults = all(parsed.faults);
    return { ...base, resiliency: isBroken(faults) ? null : parsed.resiliency, faults };
  }
  if (identity.kind !== "Component") return { ...base, faults: mistakes };
  const parsed = parseComponent(document.value);
  const faults = all(parsed.faults);
  return { ...base, component: isBroken(faults) ? null : parsed.component, draft: parsed.draft, faults };
}

/** It is nothing that can be used, and not passed over on purpose: somebody made a mistake. */
export function isMistake({ component, resiliency, note }: LocatedComponent): boolean {
  return component === null && resiliency === null && note === null;
}

/** What makes it one: its errors; a document that is no manifest at all has only a warning. */
export function decisiveFaults({ faults }: LocatedComponent): readonly PlacedFault[] {
  const errors = faults.filter(({ fault }) => fault.severity === "error");
  return errors.length === 0 ? faults : errors;
}

function place(fault: Fault, document: ManifestDocument): PlacedFault {
  return { fault, line: document.lineOf(fault.field) };
}

/** Finds the line of a fault that names a metadata entry by its name, as the field decoders do. */
export function placeByName(fault: Fault, component: Component, document: ManifestDocument): PlacedFault {
  const name = fault.field.toLowerCase();
  // The last of that name: when a field is given twice, the second is the one to point at.
  const entry = component.metadata.findLast((each) => each.name.toLowerCase() === name);
  const path = entry?.path ?? (fault.field.startsWith("spec.") ? fault.field : "spec.metadata");
  return { fault, line: document.lineOf(path) };
}

/** `orders.yaml:12: redisMaxRetries: got "ten", want …`; line 0 is that of a resource without lines. */
export function describePlaced(file: string, { fault, line }: PlacedFault): string {
  return `${file}${line === 0 ? "" : `:${line}`}: ${describeFault(fault)}`;
}
