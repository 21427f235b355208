// A file of manifests as documents that can be changed one by one: what is not changed keeps its very text, comments and
// all. Knows no kind of resource.
import { DEFAULT_SCALAR_STYLE_RULES, dump, SCALAR_STYLE, type ScalarStyleRule, YAML11_SCHEMA } from "js-yaml";
import { readManifest } from "#crds/manifest.ts";
import { readPlain } from "#crds/scalar.ts";
import { describeFault } from "#kit/fault.ts";

export interface Rewritten {
  readonly text: string;
  /** What could not be read, each with its line. */
  readonly errors: readonly string[];
}

/** Gives what takes a document's place, the document itself when it stays. */
export type ChangeDocument = (document: unknown) => unknown;

/**
 * Changes each document of `text`. One that cannot be read passes as it stands, and is an error only where `concerns`
 * says of its text that it matters: files hold documents of other kinds that are larger or deeper than our reader takes.
 */
export function rewrite(text: string, change: ChangeDocument, concerns: (text: string) => boolean): Rewritten {
  const errors: string[] = [];
  const pieces = cut(text).map((piece) => {
    const manifest = readManifest(piece.text);
    const faults = [...manifest.faults, ...manifest.documents.flatMap((each) => each.faults)];
    if (faults.length > 0) {
      if (concerns(piece.text))
        for (const { fault, line } of faults)
          errors.push(`line ${piece.firstLine + line - 1}: ${describeFault(fault)}`);
      return piece.text;
    }
    const values = manifest.documents.map(({ value }) => value);
    const changed = values.map(change);
    if (changed.every((value, index) => value === values[index])) return piece.text;
    if (holdsBigint(changed)) {
      errors.push(`line ${piece.firstLine}: a whole number is beyond 2^53 and cannot be written again as it stands`);
      return piece.text;
    }
    return `${piece.divided ? "---\n" : ""}${changed.map(yamlText).join("---\n")}`;
  });
  return { text: pieces.join(""), errors };
}

/** YAML that kubectl reads as these very values. Throws for a whole number that a double cannot hold. */
export function yamlText(value: unknown): string {
  return dump(value, { schema: YAML11_SCHEMA, scalarStyleRules: STYLE_RULES, noRefs: true, lineWidth: -1 });
}

/** Quotes text that kubectl's reader takes for something else and the library's YAML 1.1 does not: `1e3`, `0o7`. */
const quoteForKubectl: ScalarStyleRule = (layout) => {
  if (layout.style !== SCALAR_STYLE.PLAIN || layout.node.tag !== "tag:yaml.org,2002:str") return;
  const plain = readPlain(layout.node.value);
  if (plain.merge || plain.value !== layout.node.value) layout.style = SCALAR_STYLE.SINGLE_QUOTED;
};

const STYLE_RULES: readonly ScalarStyleRule[] = [quoteForKubectl, ...Object.values(DEFAULT_SCALAR_STYLE_RULES)];

function holdsBigint(value: unknown): boolean {
  if (typeof value === "bigint") return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsBigint);
}

interface Piece {
  readonly text: string;
  /** Counted from 1. */
  readonly firstLine: number;
  /** A line of dashes stands before it. */
  readonly divided: boolean;
}

/** Cuts before each line that begins with `---`, as crds/manifest.ts does. The pieces together are the text. */
function cut(text: string): Piece[] {
  const lines = text.split(/(?<=\n)/);
  const starts = lines.flatMap((line, index) => (index === 0 || line.startsWith("---") ? [index] : []));
  return starts.map((start, index) => {
    const own = lines.slice(start, starts[index + 1] ?? lines.length);
    return { text: own.join(""), firstLine: start + 1, divided: own[0]?.startsWith("---") ?? false };
  });
}
