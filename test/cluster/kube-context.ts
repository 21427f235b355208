// What the operator's loops need in a test on the bed: a client of a kubeconfig, a clock that may run faster than time.
import type { Clock } from "#kit/clock.ts";
import { systemClock } from "#kit/clock.ts";
import { createLog } from "#kit/log.ts";
import { systemRandom } from "#kit/random.ts";
import type { KubeContext } from "#operator/kube/context.ts";
import { openKubeClient } from "#operator/kube/http-client.ts";
import { noOperatorMetrics } from "#operator/metrics.ts";

export interface TestContext extends KubeContext {
  /** Lines logged so far. */
  readonly lines: readonly string[];
}

/** Waits `speed` times shorter than it is asked to, and says that as much more time has passed. */
export function fastClock(speed: number): Clock {
  return {
    nowMs: () => systemClock.nowMs(),
    monotonicMs: () => systemClock.monotonicMs() * speed,
    after: (delayMs, task) => systemClock.after(delayMs / speed, task),
  };
}

/** Its client's limits run `clientSpeed` times faster, everything else `speed` times. */
export function kubeContext(
  kubeconfig: string,
  {
    speed = 1,
    clientSpeed = 1,
    random = systemRandom,
  }: { speed?: number; clientSpeed?: number; random?: KubeContext["random"] } = {},
): TestContext {
  const lines: string[] = [];
  return {
    client: openKubeClient({ kubeconfig, clock: fastClock(clientSpeed) }),
    clock: fastClock(speed),
    random,
    log: createLog({
      level: "debug",
      json: true,
      appId: "operator",
      instance: "test",
      version: "0",
      write: (line) => lines.push(line),
      nowMs: systemClock.nowMs,
    }),
    metrics: noOperatorMetrics,
    lines,
  };
}
