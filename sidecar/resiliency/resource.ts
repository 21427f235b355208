// Decodes a Resiliency together with its trip expressions, which only this room understands.
import { type ParsedResiliency, parseResiliency } from "#crds/resiliency.ts";
import type { Fault } from "#kit/fault.ts";

/** The document of a Resiliency with all its faults at once. Loads the compiler of expressions only when there is one. */
export async function decodeResiliency(document: unknown): Promise<ParsedResiliency> {
  const parsed = parseResiliency(document);
  const wrong: Fault[] = [];
  for (const { trip, tripPath } of parsed.draft.circuitBreakers.values()) {
    if (trip === null) continue;
    const { compileTrip } = await import("./trip.ts");
    const compiled = compileTrip(trip);
    if ("want" in compiled)
      wrong.push({ severity: "error", field: tripPath, got: trip, want: compiled.want, hint: null });
  }
  if (wrong.length === 0) return parsed;
  return { ...parsed, resiliency: null, faults: [...parsed.faults, ...wrong] };
}
