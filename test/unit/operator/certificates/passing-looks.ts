// Time that passes for CAs under a manual clock, which does not wait for the thread that signs their certificates.
import { LOOK_MS } from "#operator/certificates/authority.ts";
import type { JumpClock } from "./jump-clock.ts";

/** Lets `ms` pass; after each of their looks all have taken what came of it, one after the other. */
export async function passLooks(
  clock: JumpClock,
  ms: number,
  authorities: readonly { look(): Promise<void> }[],
): Promise<void> {
  for (let leftMs = ms; leftMs > 0; leftMs -= LOOK_MS) {
    await clock.advance(Math.min(leftMs, LOOK_MS));
    for (const authority of authorities) await authority.look();
  }
}
