// Durations as Go writes them: "1h15m30.5s", "300ms", "-1.5h", "0".
// The grammar is that of time.ParseDuration (https://pkg.go.dev/time#ParseDuration).

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

// Digits can match in one way only: two ways would take the square of their length.
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;

/** Milliseconds (may be a fraction), or null when `text` is no Go duration. A number without unit is none, except 0. */
export function parseGoDuration(text: string): number | null {
  const negative = text.startsWith("-");
  const body = negative || text.startsWith("+") ? text.slice(1) : text;
  if (body === "0") return 0;
  let total = 0;
  let end = 0;
  PART.lastIndex = 0;
  for (let part = PART.exec(body); part !== null; part = PART.exec(body)) {
    total += Number(part[1]) * (UNIT_MS[part[2] ?? ""] ?? Number.NaN);
    end = PART.lastIndex;
  }
  if (end === 0 || end !== body.length) return null;
  return negative ? -total : total;
}

/** Milliseconds in the shortest form that people read: `1500` is "1.5s", `250` is "250ms". */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms * 100) / 100}ms`;
  if (ms < 60_000) return `${Math.round(ms / 10) / 100}s`;
  return `${Math.round(ms / 600) / 100}m`;
}
