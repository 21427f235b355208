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
    doc: "Servers of one cluster, as `nats://host:4222,nats://host:4222`.",
  }),
  bucket: pattern<string>({
    fallback: "",
    required: true,
    shape: /^[\w-]{1,128}$/,
    want: "letters, digits, _ and -, at most 128",
    doc: "Bucket of NATS' key-value store. It has to be there.",
  }),
  jwt: text({ fallback: "", secret: true, doc: "JWT of a user; needs `seedKey`." }),
  seedKey: pattern<string>({
    fallback: "",
    secret: true,
    shape: /^(|SU[A-Z2-7]{56})$/,
    want: "the seed of a user, 58 characters that begin with SU",
    doc: "Seed of that user's key.",
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
