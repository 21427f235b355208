// The metadata fields of state.jetstream (dapr-state-stores.md 17) and what they mean together. Knows no client library.
import { type FieldTable, flag, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { parseAddresses } from "./addresses.ts";

export interface JetStreamSettings {
  readonly natsURL: string;
  readonly bucket: string;
  readonly jwt: string;
  readonly seedKey: string;
  readonly name: string;
  readonly dotsAsSeparators: boolean;
}

export const fields: FieldTable<JetStreamSettings> = {
  natsURL: text({
    fallback: "",
    required: true,
    doc: "Servers of one cluster, as `nats://nats-0:4222,nats://nats-1:4222`; the port is 4222, and at most 32. `tls://` asks for TLS, by authorities that Node trusts (`NODE_EXTRA_CA_CERTS` adds one); a server that must have TLS gets it without. A user or a token may stand in it: `nats://user:password@nats:4222`, `nats://token@nats:4222`.",
  }),
  bucket: pattern<string>({
    fallback: "",
    required: true,
    shape: /^[\w-]{1,128}$/,
    want: "1 to 128 ASCII letters, digits, _ and -",
    doc: "Bucket of NATS' key-value store, which has to be there: letters, digits, `_` and `-`, at most 128.",
  }),
  jwt: text({ fallback: "", secret: true, doc: "JWT of a user; needs `seedKey`." }),
  seedKey: pattern<string>({
    fallback: "",
    secret: true,
    shape: /^(|SU[A-Z2-7]{56})$/,
    want: "the seed of a user, 58 characters that begin with SU",
    doc: "Seed of that user's key; needs `jwt`.",
  }),
  name: text({ fallback: "dapr.io - statestore.jetstream", doc: "Name under which the servers list the connection." }),
  dotsAsSeparators: flag({
    fallback: false,
    doc: "Take keys whose dots may be read as the separator of another key. Pannier's own.",
  }),
};

/** What is wrong between fields. */
export function check({ natsURL, jwt, seedKey }: Readonly<JetStreamSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (field: string, got: string | null, want: string): void => {
    faults.push({ severity: "error", field, got, want, hint: "see docs/stores/jetstream.md" });
  };
  const addresses = parseAddresses(natsURL);
  // A password may stand in it.
  if ("want" in addresses) fault("natsURL", natsURL.includes("@") ? null : natsURL, addresses.want);
  else if (addresses.user !== null && jwt !== "") fault("jwt", null, "a user in natsURL or jwt, not both");
  if ((jwt === "") !== (seedKey === "")) fault(jwt === "" ? "jwt" : "seedKey", null, "jwt and seedKey together");
  return faults;
}
