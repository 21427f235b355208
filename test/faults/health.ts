// What a sidecar says of itself while a test hurts its store.
import { ask } from "#test/wire/client.ts";
import type { WireSidecar } from "#test/wire/sidecar.ts";
import { until } from "#test/wire/until.ts";

const SAID_WITHIN_MS = 60_000;

export async function untilHealthy(wire: WireSidecar): Promise<void> {
  const isHealthy = async (): Promise<boolean> => (await ask(wire, "GET", "/pannier/v1/health")).status === 200;
  await until("the sidecar is healthy", isHealthy, SAID_WITHIN_MS);
}

/** Gives what it says of its one store then. */
export async function untilUnhealthy(wire: WireSidecar): Promise<string> {
  let said = "";
  const isUnhealthy = async (): Promise<boolean> => {
    const { status, text } = await ask(wire, "GET", "/pannier/v1/health");
    said = text;
    return status !== 200;
  };
  await until("the sidecar is not healthy", isUnhealthy, SAID_WITHIN_MS);
  return JSON.parse(said).stores[0].message;
}
