// The API token over gRPC (dapr-state-api.md 8.5): metadata `dapr-api-token`, compared in constant time.
import { secretCheck } from "#kit/secret-check.ts";
import { refusal } from "./errors.ts";
import type { CallMetadata } from "./method.ts";

/** Throws Unauthenticated for a call that may not pass. */
export type TokenCheck = (metadata: CallMetadata) => void;

const NAME = "dapr-api-token";
/** What Node puts between the values of a name that comes more than once. */
const SEPARATOR = ", ";
/** Times that a call may bring the token: once by the SDK, once by an interceptor, and some more. */
const TOKENS_MAX = 8;

export function createTokenCheck(token: string): TokenCheck {
  const isExpected = secretCheck(Buffer.from(token));
  return (metadata) => {
    const given = metadata.get(NAME);
    if (given === undefined) throw unauthorized("missing api token in request metadata");
    const isRight = isExpected(Buffer.from(given)) || (typeof given === "string" && isRepeated(given, isExpected));
    if (!isRight) throw unauthorized("authentication error: api token mismatch");
  };
}

/** Whether a value is the token several times over. Every part is compared, whatever the ones before it are. */
function isRepeated(given: string, isExpected: (part: Uint8Array) => boolean): boolean {
  const parts = given.split(SEPARATOR, TOKENS_MAX + 1);
  if (parts.length > TOKENS_MAX) return false;
  return parts.filter((part) => isExpected(Buffer.from(part))).length === parts.length;
}

/** Whether metadata can carry the token: gRPC has printable ASCII there. */
export function isSendable(token: string): boolean {
  return /^[ -~]*$/.test(token);
}

function unauthorized(error: string): Error {
  return refusal("Unauthenticated", "Unauthorized", { code: 401, error });
}
