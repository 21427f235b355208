// When a value ends, as a read tells it, held against the clock around the write and the read: however long a machine pauses.
import assert from "node:assert/strict";

/** Servers count in seconds, and round them. */
const ROUNDING_MS = 3_000;

export interface Around {
  /** By the clock of this machine, before the write … */
  readonly fromMs: number;
  /** … and after the read. */
  readonly untilMs: number;
  readonly ttlSec: number;
}

/** `told` is the text of the header. */
export function tellsExpiry(told: unknown, { fromMs, untilMs, ttlSec }: Around): void {
  const endsMs = Date.parse(String(told)) - ttlSec * 1000;
  assert.ok(endsMs >= fromMs - ROUNDING_MS && endsMs <= untilMs + ROUNDING_MS, `${told}, ${fromMs} to ${untilMs}`);
}
