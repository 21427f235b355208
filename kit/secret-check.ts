// Whether somebody knows a secret, found out without telling by the time it takes how much of it was right.
import { createHash, timingSafeEqual } from "node:crypto";

/** A check against one expected secret. */
export function secretCheck(expected: Uint8Array): (given: Uint8Array) => boolean {
  const wanted = digest(expected);
  // Digests have one length, which timingSafeEqual asks for, and hide how long the secret is.
  return (given) => timingSafeEqual(digest(given), wanted);
}

function digest(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
