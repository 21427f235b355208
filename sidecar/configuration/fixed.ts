// What of a Configuration is settled at the start: a change of it waits for the next one, and the log says so.
import type { Configuration } from "#crds/configuration.ts";

/** Members whose change has no effect on a running sidecar, by their paths. */
export function waitingChanges(started: Configuration, now: Configuration): readonly string[] {
  const differs = (of: (configuration: Configuration) => unknown): boolean =>
    JSON.stringify(of(started)) !== JSON.stringify(of(now));
  const parts: readonly (readonly [string, (configuration: Configuration) => unknown])[] = [
    ["spec.metrics", ({ metrics }) => metrics],
    ["spec.logging", ({ apiLogging }) => apiLogging],
    // How many spans there are follows; where they go is settled by the first Configuration that says so.
    ["spec.tracing", ({ tracing }) => started.tracing && tracing && { ...tracing, samplingRate: 0 }],
  ];
  return parts.filter(([, of]) => differs(of)).map(([path]) => path);
}
