// Takes secrets out of texts on their way to logs, errors and statuses. The last net: drivers and decoders keep them out
// by themselves as far as they know them. Knows no Component.
import type { Fault } from "#kit/fault.ts";

/** In characters. Shorter ones would blot out half of any message. */
const SHORTEST_SECRET = 4;
const STARS = "***";

/** The text with stars for each secret, as it stands and as it is spelled inside a JSON string. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return spellings(secrets).reduce((rest, secret) => rest.replaceAll(secret, STARS), text);
}

/** Before a fault becomes text: then its value may be cut off in the middle of a secret. */
export function faultWithoutSecrets(fault: Fault, secrets: readonly string[]): Fault {
  const { got, want, hint } = fault;
  return {
    ...fault,
    got: got === null || withoutSecrets(got, secrets) !== got ? null : got,
    want: withoutSecrets(want, secrets),
    hint: hint === null ? null : withoutSecrets(hint, secrets),
  };
}

/** The longest first, so that one that begins with another does not leave its end. */
function spellings(secrets: readonly string[]): string[] {
  const long = secrets.filter((secret) => secret.length >= SHORTEST_SECRET);
  const spelled = new Set(long.flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]));
  return [...spelled].sort((left, right) => right.length - left.length);
}
