// The time format of Leases and Events.

/** Kubernetes' MicroTime, six digits of a second, from milliseconds since 1970. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
