// What everything that talks to an API server in the background works with. Nothing of it is made here.
import type { Clock } from "#kit/clock.ts";
import type { Log } from "#kit/log.ts";
import type { Random } from "#kit/random.ts";
import type { OperatorMetrics } from "../metrics.ts";
import type { KubeClient } from "./client.ts";

export interface KubeContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: OperatorMetrics;
}
