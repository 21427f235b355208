// `--wait`: asks a sidecar on this machine whether it is ready until it says so (dapr-state-api.md 3.4).
import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "#kit/clock.ts";

const EVERY_MS = 100;
const REQUEST_TIMEOUT_MS = 500;
export const WAIT_LIMIT_MS = 60_000;

/** True as soon as the sidecar on this port of localhost answers with a 2xx; false when it has not within `limitMs`. */
export async function waitUntilReady(httpPort: number, limitMs: number): Promise<boolean> {
  const endMs = systemClock.monotonicMs() + limitMs;
  while (systemClock.monotonicMs() < endMs) {
    if (await isReady(httpPort)) return true;
    await delay(EVERY_MS);
  }
  return false;
}

/** A refused connection, a timeout and an error answer all mean: not yet. */
function isReady(httpPort: number): Promise<boolean> {
  return new Promise((resolve) => {
    const url = `http://localhost:${httpPort}/v1.0/healthz/outbound`;
    const request = get(url, { agent: false, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) }, (response) => {
      response.resume();
      const status = response.statusCode ?? 0;
      resolve(status >= 200 && status < 300);
    });
    request.on("error", () => resolve(false));
  });
}
