// The text of a YAML or JSON file as documents whose every node knows its line, read as Dapr's loader reads it:
// documents are cut at lines that begin with `---`, so that a mistake in one leaves the others; scalars follow scalar.ts.
// Knows no kind of resource and no file. No message repeats a piece of the text: it may be a secret.
import { parseEvents, YAMLException } from "js-yaml";
import type { Fault } from "#kit/fault.ts";
import { type Budget, compose, EXPANDED_BYTES_MAX, ManifestMistake, type Respelled } from "./compose.ts";

/** Largest manifest in bytes of UTF-8. */
export const MANIFEST_BYTES_MAX: number = 1024 * 1024;
/** Most documents in one file. */
export const DOCUMENTS_MAX = 200;
/** Deepest nesting of one document. */
export const DEPTH_MAX = 32;

export interface PlacedFault {
  readonly fault: Fault;
  /** Counted from 1. */
  readonly line: number;
}

export interface ManifestDocument {
  /** Plain JSON values; a bigint where a whole number is beyond a double. */
  readonly value: unknown;
  /** Where its first node stands, counted from 1. */
  readonly line: number;
  /** Mistakes that the reader can name without knowing the kind: a key given twice, an infinity. */
  readonly faults: readonly PlacedFault[];
  /** Plain scalars that come out with another text than they were written with. */
  readonly respelled: readonly Respelled[];
  /** The line of a path such as `spec.metadata[2].value`, or of the nearest node around it. */
  lineOf(path: string): number;
}

export interface Manifest {
  /** Without the empty ones. */
  readonly documents: readonly ManifestDocument[];
  /** What could not be read at all. Not empty: a part of the file is missing from `documents`. */
  readonly faults: readonly PlacedFault[];
}

/** Reads a whole file; never throws for what stands in it. */
export function readManifest(text: string): Manifest {
  if (Buffer.byteLength(text) > MANIFEST_BYTES_MAX) return unreadable(`at most ${MANIFEST_BYTES_MAX} bytes`, 1);
  const pieces = split(text);
  if (pieces.length > DOCUMENTS_MAX) return unreadable(`at most ${DOCUMENTS_MAX} documents in a file`, 1);
  const documents: ManifestDocument[] = [];
  const faults: PlacedFault[] = [];
  const budget: Budget = { bytesLeft: EXPANDED_BYTES_MAX };
  for (const piece of pieces) {
    try {
      documents.push(...readPiece(piece, budget));
    } catch (error) {
      faults.push(placeMistake(piece, error));
    }
  }
  return { documents, faults };
}

interface Piece {
  readonly text: string;
  /** The line that the piece begins on, counted from 1. */
  readonly firstLine: number;
}

/** Cuts before each line that begins with `---`. What follows on that line stays when YAML would read it too. */
function split(text: string): Piece[] {
  const pieces: Piece[] = [];
  let lines: string[] = [];
  let firstLine = 1;
  const finish = (nextLine: number): void => {
    if (lines.some(hasContent)) pieces.push({ text: lines.join("\n"), firstLine });
    lines = [];
    firstLine = nextLine;
  };
  const all = text.startsWith("\uFEFF") ? text.slice(1).split("\n") : text.split("\n");
  for (const [index, line] of all.entries()) {
    if (!line.startsWith("---")) {
      lines.push(line);
      continue;
    }
    finish(index + 1);
    // A line of many dashes divides documents for Dapr, although YAML knows only exactly three.
    lines.push(/^---(\s|$)/.test(line) ? line : "---");
  }
  finish(all.length);
  return pieces;
}

function hasContent(line: string): boolean {
  const start = line.trimStart();
  return start !== "" && !start.startsWith("#") && !line.startsWith("%") && start.trimEnd() !== "---";
}

/** A piece is one document, or several when it divides them by `...`. */
function readPiece(piece: Piece, budget: Budget): ManifestDocument[] {
  const lineAt = lineCounter(piece);
  const events = parseEvents(piece.text, { maxDepth: DEPTH_MAX });
  return compose(piece.text, events, budget).map((composed) => {
    const lines = new Map([...composed.offsets].map(([path, offset]) => [path, lineAt(offset)]));
    const line = lines.get("") ?? piece.firstLine;
    return {
      value: composed.value,
      line,
      faults: composed.faults.map(({ fault, offset }) => ({ fault, line: lineAt(offset) })),
      respelled: composed.respelled,
      lineOf: (path) => nearestLine(lines, path) ?? line,
    };
  });
}

function nearestLine(lines: ReadonlyMap<string, number>, path: string): number | undefined {
  for (let rest = path; rest !== ""; rest = rest.slice(0, Math.max(rest.lastIndexOf("."), rest.lastIndexOf("["), 0))) {
    const line = lines.get(rest);
    if (line !== undefined) return line;
  }
  return lines.get("");
}

function lineCounter(piece: Piece): (offset: number) => number {
  const ends: number[] = [];
  for (let end = piece.text.indexOf("\n"); end >= 0; end = piece.text.indexOf("\n", end + 1)) ends.push(end);
  return (offset) => {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) < offset) low = middle + 1;
      else high = middle;
    }
    return piece.firstLine + low;
  };
}

function placeMistake(piece: Piece, error: unknown): PlacedFault {
  if (error instanceof ManifestMistake) {
    return { fault: syntaxFault(error.message), line: lineCounter(piece)(error.offset) };
  }
  if (!(error instanceof YAMLException)) throw error;
  const line = piece.firstLine + (error.mark?.line ?? 0);
  // The parser repeats tag and anchor names after a colon or a quote: an unquoted password may look like one.
  const reason = error.reason.replace(/[:"'].*$/s, "").trim();
  const column = (error.mark?.column ?? 0) + 1;
  return { fault: syntaxFault(`${reason} (line ${line}, column ${column})`), line };
}

function syntaxFault(reason: string): Fault {
  return {
    severity: "error",
    field: "",
    got: null,
    want: `YAML that can be read: ${reason}`,
    hint: "nothing of this document is used",
  };
}

function unreadable(limit: string, line: number): Manifest {
  const fault: Fault = { severity: "error", field: "", got: null, want: limit, hint: "nothing of this file is used" };
  return { documents: [], faults: [{ fault, line }] };
}
