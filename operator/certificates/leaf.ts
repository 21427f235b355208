// The serving certificate of this replica: made in memory under the CA that signs, never written anywhere.
import { type AuthorityState, BACKDATED_MS, DAY_MS, isToRenew, validityOf } from "./authority-state.ts";
import type { Served } from "./source.ts";

export const LEAF_LIFETIME_MS: number = 7 * DAY_MS;

export interface Leaf extends Served {
  /** The leaf alone; `certificatePem` has the bridges after it. */
  readonly leafPem: string;
  /** The CA and the bridges that it was made with. */
  readonly madeWith: string;
}

/** The old one while it is good, else a new one, which ends with its CA at the latest. */
export async function renewLeaf(
  old: Leaf | null,
  state: AuthorityState,
  names: readonly string[],
  nowMs: number,
): Promise<Leaf> {
  const madeWith = [state.signing.certificatePem, ...state.bridges].join("");
  if (old !== null && old.madeWith === madeWith && !isToRenew(old.leafPem, nowMs)) return old;
  const { issueLeaf } = await import("./issue.ts");
  const untilMs = Math.min(nowMs + LEAF_LIFETIME_MS, validityOf(state.signing.certificatePem).untilMs);
  const { certificatePem: leafPem, keyPem } = await issueLeaf(names, state.signing, {
    fromMs: nowMs - BACKDATED_MS,
    untilMs,
  });
  return {
    keyPem,
    leafPem,
    certificatePem: [leafPem, ...state.bridges].join(""),
    expiresAtMs: validityOf(leafPem).untilMs,
    madeWith,
  };
}
