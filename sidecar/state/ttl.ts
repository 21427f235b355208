// `ttlInSeconds`: one meaning on every store. Dapr's stores disagree on 0 and -1 (dapr-state-stores.md 1); here both
// mean "no expiry", a missing one means the Component's default, and what is no TTL at all is refused.
import type { Metadata } from "../stores/store.ts";

export const TTL_NAME = "ttlInSeconds";
export const TTL_EXPIRE_TIME_NAME = "ttlExpireTime";
const TTL_SEC_MAX = 2_147_483_647;
const WANT = `a whole number of seconds from -1 to ${TTL_SEC_MAX}, where 0 and -1 mean no expiry`;

/** What a request asks for: a number of seconds, `null` for no expiry, `undefined` when it says nothing. */
export type WantedTtl = number | null | undefined;

/** Reads the TTL out of a request's metadata. Gives `{ problem }` with a text for the caller when it is none. */
export function readTtl(metadata: Metadata): { readonly ttl: WantedTtl } | { readonly problem: string } {
  const text = metadata[TTL_NAME];
  if (text === undefined || text === "") return { ttl: undefined };
  const seconds = isWholeNumber(text) ? Number(text) : Number.NaN;
  if (seconds >= 1 && seconds <= TTL_SEC_MAX) return { ttl: seconds };
  if (seconds === 0 || seconds === -1) return { ttl: null };
  return { problem: `metadata ${TTL_NAME}: got ${JSON.stringify(text.slice(0, 40))}, want ${WANT}` };
}

/** Up to 15 digits with an optional sign: what Go's strconv.Atoi takes and a double still holds. */
function isWholeNumber(text: string): boolean {
  const start = text.startsWith("-") || text.startsWith("+") ? 1 : 0;
  if (text.length === start || text.length > start + 15) return false;
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

/** `ttlExpireTime` as responses carry it: RFC 3339, UTC, whole seconds. */
export function expireTimeText(expiresAtMs: number): string {
  return `${new Date(expiresAtMs).toISOString().slice(0, 19)}Z`;
}
