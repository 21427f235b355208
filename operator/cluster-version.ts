// Which version of Kubernetes the cluster has, however long its API server takes to say so. Decides nothing by it.
import { sleep } from "#kit/clock.ts";
import { Backoff, type BackoffLimits } from "./kube/backoff.ts";
import { KubeError } from "./kube/client.ts";
import type { KubeContext } from "./kube/context.ts";

const BACKOFF: BackoffLimits = { firstMs: 200, mostMs: 10_000 };

/** The minor version of Kubernetes 1, 0 for one that is no number. Rejects only when `stopping` aborts. */
export async function minorVersion(
  { client, clock, random, log }: KubeContext,
  stopping: AbortSignal,
): Promise<number> {
  const backoff = new Backoff(BACKOFF, random);
  while (!stopping.aborted) {
    try {
      const asked = { method: "GET", path: "/version", signal: stopping } as const;
      const version = await client.request<{ readonly minor?: string } | null>(asked);
      // A cluster's version may say "31+".
      const number = Number.parseInt(version?.minor ?? "", 10);
      return Number.isNaN(number) ? 0 : number;
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      const waitMs = backoff.next(error.retryAfterMs);
      log.warn("the API server does not say its version yet", { error: error.message, retry_ms: Math.round(waitMs) });
      await sleep(clock, waitMs, stopping);
    }
  }
  throw new Error("given up before the API server said its version");
}
