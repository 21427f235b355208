// A fault in something that a person wrote: a manifest, a metadata field, a flag. All faults are collected, none thrown.

export interface Fault {
  readonly severity: "error" | "warning";
  /** Where: "spec.metadata[2]", "redisMaxRetries"; empty for the document as a whole. */
  readonly field: string;
  /** What was seen, as text, or null when nothing was there or the value is a secret. */
  readonly got: string | null;
  /** What was wanted, as the end of "want …". */
  readonly want: string;
  /** What to do about it, or null. */
  readonly hint: string | null;
}

const LONGEST_SHOWN = 80;

/** `redisMaxRetries: got "ten", want a whole number; see docs/stores/redis.md` */
export function describeFault(fault: Fault): string {
  const where = fault.field === "" ? "" : `${fault.field}: `;
  const seen = fault.got === null ? "" : `got ${shorten(fault.got)}, `;
  const hint = fault.hint === null ? "" : `; ${fault.hint}`;
  return `${where}${seen}want ${fault.want}${hint}`;
}

export function hasErrors(faults: readonly Fault[]): boolean {
  return faults.some((fault) => fault.severity === "error");
}

function shorten(text: string): string {
  return JSON.stringify(text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text);
}
