// How `pannier check` shows what it found: lines for people, one JSON array for programs. Decides nothing.
import { describeFault, type Fault } from "#kit/fault.ts";

export interface Finding {
  readonly file: string;
  /** Counted from 1; null for a fault of the file or folder as a whole. */
  readonly line: number | null;
  /** As written: "Resiliency"; null where it is a Component or cannot be told. */
  readonly kind: string | null;
  /** Name and type as far as they could be read. */
  readonly component: string | null;
  readonly type: string | null;
  readonly fault: Fault;
}

export interface CheckOutcome {
  readonly findings: readonly Finding[];
  /** What was passed over, each with its place. */
  readonly notes: readonly string[];
  readonly files: number;
  /** How many there are of each kind that was judged. */
  readonly kinds: ReadonlyMap<string, number>;
}

/** `orders.yaml:9: component "orders" (state.redis): redisMaxRetries: got "ten", want a whole number …` */
function describeFinding(finding: Finding): string {
  const { file, line, component, type, fault } = finding;
  const noun = (finding.kind ?? "component").toLowerCase();
  const place = line === null ? file : `${file}:${line}`;
  const severity = fault.severity === "warning" ? " warning:" : "";
  const ofType = type === null ? "" : ` (${type})`;
  const title = component === null ? "" : ` ${noun} ${JSON.stringify(component)}${ofType}:`;
  return `${place}:${severity}${title} ${describeFault(fault)}`;
}

/** All findings and notes, and a last line that counts; one line each. */
export function textReport(outcome: CheckOutcome): string {
  const lines = [...outcome.findings.map(describeFinding), ...outcome.notes.map((note) => `${note}`), summary(outcome)];
  return `${lines.join("\n")}\n`;
}

/** One object per finding, in the same order; secrets are null there too. */
export function jsonReport({ findings }: CheckOutcome): string {
  const rows = findings.map(({ file, line, component, type, fault }) => {
    const { field, severity, got, want, hint } = fault;
    return { file, line, component, type, field, severity, got, want, hint };
  });
  return `${JSON.stringify(rows, null, 2)}\n`;
}

function summary({ findings, files, kinds }: CheckOutcome): string {
  const errors = findings.filter(({ fault }) => fault.severity === "error").length;
  const counted = [count(errors, "error"), count(findings.length - errors, "warning")].join(", ");
  const found = [...kinds].filter(([, number]) => number > 0);
  const told = found.length === 0 ? [["Component", 0] as const] : found;
  return `${told.map(([kind, number]) => count(number, kind)).join(", ")} in ${count(files, "file")}: ${counted}`;
}

function count(number: number, noun: string): string {
  const plural = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${number} ${number === 1 ? noun : plural}`;
}
