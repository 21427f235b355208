// `pannier check`: judges manifests offline with the sidecar's own decoder. Opens no store and resolves no secret.
import { stat } from "node:fs/promises";
import type { Component } from "#crds/component.ts";
import { quotingFaults } from "#crds/quoting.ts";
import { type Fault, hasErrors } from "#kit/fault.ts";
import { blockOf } from "#sidecar/components/component-type.ts";
import { type LocatedComponent, locateComponents, placeByName } from "#sidecar/components/documents.ts";
import { judgeComponent } from "#sidecar/components/judgement.ts";
import { listManifests, readManifestFile } from "#sidecar/components/manifest-files.ts";
import { fieldRules } from "#sidecar/components/prepare.ts";
import { documentFaults } from "#sidecar/configuration/files.ts";
import { mergeResources, unmetNames } from "#sidecar/resiliency/targets.ts";
import { unlisted } from "./check-lists.ts";
import { type CheckOutcome, type Finding, jsonReport, textReport } from "./check-report.ts";

export interface CheckOptions {
  readonly output: "text" | "json";
  readonly write: (text: string) => void;
  /** Types that a pluggable component serves; none by default. */
  readonly pluggable?: readonly string[];
}

/**
 * Checks manifests and folders of manifests and writes what is wrong with them.
 * Gives the exit code: 1 when a fault is an error, or when there is nothing to check; warnings alone are 0.
 */
export async function check(paths: readonly string[], options: CheckOptions): Promise<number> {
  const pluggable = (options.pluggable ?? []).map((type) => type.toLowerCase());
  const outcome = await examine(paths, pluggable);
  options.write(options.output === "json" ? jsonReport(outcome) : textReport(outcome));
  return outcome.findings.some(({ fault }) => fault.severity === "error") ? 1 : 0;
}

async function examine(paths: readonly string[], pluggable: readonly string[]): Promise<CheckOutcome> {
  const findings: Finding[] = [];
  const notes: string[] = [];
  const files = new Set<string>();
  for (const path of paths) {
    const listed = await filesOf(path);
    if (listed.fault !== null) findings.push(ofFile(path, null, listed.fault));
    for (const file of listed.others) notes.push(`${file}: note: it is no regular file and is not read`);
    for (const file of listed.files) files.add(file);
  }
  const found: LocatedComponent[] = [];
  for (const file of files) {
    const read = await readFile(file);
    findings.push(...read.findings);
    notes.push(...read.notes);
    found.push(...read.found);
  }
  for (const located of found) findings.push(...(await examineDocument(located, pluggable)));
  findings.push(...duplicates(found), ...unmetPolicies(found));
  const kinds = new Map(
    KINDS.map((kind) => [kind, found.filter(({ identity }) => identity.kind === kind).length] as const),
  );
  if ([...kinds.values()].every((number) => number === 0) && !hasErrors(findings.map(({ fault }) => fault)))
    findings.push(ofFile(paths.join(", "), null, NOTHING));
  const order = new Map([...files].map((file, index) => [file, index]));
  findings.sort((a, b) => (order.get(a.file) ?? -1) - (order.get(b.file) ?? -1) || (a.line ?? 0) - (b.line ?? 0));
  return { findings, notes: [...notes, ...found.flatMap(noteOf)], files: files.size, kinds };
}

/** What is judged; other kinds draw a note. */
const KINDS = ["Component", "Resiliency", "Configuration"] as const;

const NOTHING = error(
  "",
  "at least one Component, Resiliency or Configuration",
  "there is nothing to check: name a manifest or a folder of manifests",
);

interface Listed {
  readonly files: readonly string[];
  /** Folders, FIFOs and the like under a manifest's name, which the sidecar does not read either. */
  readonly others: readonly string[];
  readonly fault: Fault | null;
}

async function filesOf(path: string): Promise<Listed> {
  try {
    if (!(await stat(path)).isDirectory()) return { files: [path], others: [], fault: null };
    const { files: names, left } = await listManifests(path);
    const files: string[] = [];
    const others: string[] = [];
    for (const file of names) ((await countsAsFile(file)) ? files : others).push(file);
    return { files, others, fault: left === 0 ? null : error("", "fewer files", `${left} are not read`) };
  } catch (failure) {
    return { files: [], others: [], fault: error("", "a file or folder that exists and can be read", codeOf(failure)) };
  }
}

/** A link to nothing counts as a file: that it cannot be read is an error. */
async function countsAsFile(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => null);
  return found === null || found.isFile();
}

interface ReadFile {
  readonly found: readonly LocatedComponent[];
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
}

async function readFile(file: string): Promise<ReadFile> {
  try {
    const { manifest } = await readManifestFile(file);
    const { documents, lists, faults } = unlisted(manifest.documents);
    const findings = [...manifest.faults, ...faults].map(({ fault, line }) => ofFile(file, line, fault));
    const notes = lists.map(({ kind, line }) => `${file}:${line}: note: this ${kind} ${LOOKED_INTO}`);
    return { found: await locateComponents(file, { documents, faults: [] }), findings, notes };
  } catch (failure) {
    const findings = [ofFile(file, null, error("", "a file that can be read", codeOf(failure)))];
    return { found: [], findings, notes: [] };
  }
}

const LOOKED_INTO = "is looked into here: a sidecar that finds it in a folder passes over it";

async function examineDocument(located: LocatedComponent, pluggable: readonly string[]): Promise<Finding[]> {
  const { file, document, draft, identity } = located;
  const find = (fault: Fault, line: number): Finding => {
    const kind = identity.kind === "Component" ? null : identity.kind;
    return { file, line, kind, component: identity.name, type: kind === null ? identity.type : null, fault };
  };
  // A variable is put in before the sidecar reads a Configuration; what it holds is not known here.
  if (identity.kind === "Configuration")
    return documentFaults(document)
      .filter(({ fault }) => !fault.got?.includes("$"))
      .map(({ fault, line }) => find(fault, line));
  const findings = located.faults.map(({ fault, line }) => find(fault, line));
  if (draft === null) return findings;
  const { faults, tables } = await judgeComponent(draft, { inCluster: false, pluggable });
  for (const fault of faults) {
    const placed = placeByName(fault, draft, document);
    findings.push(find(placed.fault, placed.line));
  }
  for (const { fault, line } of quotingFaults(document, fieldRules(tables).mayShow)) findings.push(find(fault, line));
  return findings;
}

/** Two of a name that one app would see both of. */
function duplicates(found: readonly LocatedComponent[]): Finding[] {
  return found.flatMap((located, index) => {
    const { component, file, document, identity } = located;
    const other = found.slice(0, index).find((each) => component !== null && clash(each.component, component));
    if (component === null || other === undefined) return [];
    const want = "a name that no other Component has";
    const hint = `the first is in ${other.file}:${other.document.line}; the sidecar does not start with both`;
    const fault: Fault = { severity: "error", field: "metadata.name", got: component.name, want, hint };
    const line = document.lineOf("metadata.name");
    return [{ file, line, kind: null, component: identity.name, type: identity.type, fault }];
  });
}

/** What targets name and no Resiliency of all that are given defines. */
function unmetPolicies(found: readonly LocatedComponent[]): Finding[] {
  const own = found.flatMap((located) =>
    located.resiliency === null ? [] : [{ located, resiliency: located.resiliency }],
  );
  // What a faulty one defines is not known: its errors come first.
  if (own.length < found.filter(({ identity }) => identity.kind === "Resiliency").length) return [];
  const merged = mergeResources(own.map(({ resiliency }) => resiliency));
  return own.flatMap(({ located: { file, document, identity }, resiliency }) => {
    // Each with its own targets: of two for one Component either may be the one that an app sees.
    const { components } = mergeResources([resiliency]);
    return unmetNames({ ...merged, components }).map(({ fault }) => {
      const line = document.lineOf(fault.field);
      return { file, line, kind: "Resiliency", component: identity.name, type: null, fault };
    });
  });
}

function clash(left: Component | null, right: Component): boolean {
  if (left === null || left.name !== right.name) return false;
  const sameNamespace = left.namespace === null || right.namespace === null || left.namespace === right.namespace;
  const everyone = left.scopes.length === 0 || right.scopes.length === 0;
  return sameNamespace && (everyone || left.scopes.some((scope) => right.scopes.includes(scope)));
}

function noteOf({ file, document, note, component, identity }: LocatedComponent): string[] {
  // Judged here, whatever file it is in.
  if (identity.kind === "Configuration") return [];
  const block = component === null ? null : blockOf(component.type);
  const passedOver =
    component !== null && block?.block === "other"
      ? `${component.type} is passed over: Pannier has no building block ${block.name}`
      : note;
  return passedOver === null ? [] : [`${file}:${document.line}: note: ${passedOver}`];
}

function ofFile(file: string, line: number | null, fault: Fault): Finding {
  return { file, line, kind: null, component: null, type: null, fault };
}

function error(field: string, want: string, hint: string): Fault {
  return { severity: "error", field, got: null, want, hint };
}

function codeOf(failure: unknown): string {
  const code = failure instanceof Error && "code" in failure ? String(failure.code) : String(failure);
  return code === "ENOENT" ? "there is nothing under this path" : code;
}
