// Which servers keep a condition in a bucket with several replicas. Knows no connection.

/** How a version counts: 2.9.21 is beyond 2.9.3. */
const OLDEST = [2, 9, 21] as const;

/** The oldest version whose word can be relied on, for the log. */
export const CONDITIONS_SINCE: string = OLDEST.join(".");

/**
 * Whether a conditional write of two is made once only. In a bucket with one replica it always is. With several, servers up
 * to 2.9.19 took both and told both that they had succeeded (tried with three servers of 2.9.10, .11, .12, .15, .17 and .19,
 * which lost updates, and of 2.9.21, .23, .25, 2.10.0, .5, .29, 2.11.0, 2.12.0 and 2.15.2, which did not).
 */
export function keepsConditions(version: string, replicas: number): boolean {
  if (replicas <= 1) return true;
  const parts = version.split(/[.-]/).map(Number);
  const at = OLDEST.findIndex((least, index) => parts[index] !== least);
  return at < 0 || (parts[at] ?? 0) > (OLDEST[at] ?? 0);
}
