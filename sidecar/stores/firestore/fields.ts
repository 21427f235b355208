// The metadata fields of state.gcp.firestore: those of Dapr (dapr-state-stores.md 16a) and one of ours. And what they mean
// together. Knows no client library.
import { duration, type FieldTable, flag, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { parseEndpoint } from "../google/endpoint.ts";
import { checkServiceAccount, type ServiceAccountSettings, serviceAccountFields } from "../google/fields.ts";

export interface FirestoreSettings extends ServiceAccountSettings {
  readonly project_id: string;
  readonly entity_kind: string;
  readonly noIndex: boolean;
  readonly endpoint: string;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Firestore in Datastore mode answers under the name that Datastore had. */
export const HOST = "datastore.googleapis.com";
export const PAGE = "docs/stores/gcp.firestore.md";

/** Of UTF-8; the driver's limits count with it. */
export const KIND_BYTES_MAX = 1500;

const TIMEOUT_MS = 20_000;
const TIMEOUT_MS_MIN = 1000;
const HOUR_MS = 3_600_000;

export const fields: FieldTable<FirestoreSettings> = {
  project_id: pattern({
    // Projects can have a domain before a colon.
    shape: /^[a-z][\w.:-]*$/,
    want: "a project's id as Google gives it: a lower-case letter, then ASCII letters, digits and _.:-",
    fallback: "",
    required: true,
    aliases: ["projectId"],
    doc: "Project whose default database is in Datastore mode.",
  }),
  entity_kind: pattern({
    // What begins and ends with two underscores is Datastore's own.
    shape: /^(?!__.*__$)[^\0]+$/su,
    want: `a kind of 1 to ${KIND_BYTES_MAX} bytes without a NUL, and not in double underscores`,
    fallback: "DaprState",
    aliases: ["entityKind"],
    doc: "Kind of the entities.",
  }),
  noIndex: flag({
    fallback: false,
    doc: "Leave every value out of Datastore's index. Without it, only values of more than 1500 bytes are left out, which Datastore cannot index. An index of values serves nobody here and costs with each write.",
  }),
  endpoint: text({
    fallback: "",
    shownDefault: "the service's",
    aliases: ["connectionEndpoint"],
    doc: "`host:port` of an emulator, as `DATASTORE_EMULATOR_HOST` has it: without TLS and without a sign-in. `https://host` or `https://host:port` for another address of the service.",
  }),
  timeout: duration<number>({
    fallback: TIMEOUT_MS,
    bare: "seconds",
    min: TIMEOUT_MS_MIN,
    max: HOUR_MS,
    doc: "Longest that a request waits for its answer, further attempts of a transaction included. Pannier's own.",
  }),
  ...serviceAccountFields,
};

/** What is wrong between fields. */
export function check(settings: Readonly<FirestoreSettings>): readonly Fault[] {
  const { entity_kind, endpoint: address, private_key_id } = settings;
  const faults = [...checkServiceAccount(settings, PAGE)];
  const kindBytes = Buffer.byteLength(entity_kind);
  if (kindBytes > KIND_BYTES_MAX)
    faults.push({
      severity: "error",
      field: "entity_kind",
      got: `${kindBytes} bytes`,
      want: `at most ${KIND_BYTES_MAX}`,
      hint: `see ${PAGE}`,
    });
  const endpoint = parseEndpoint(address, HOST);
  // An endpoint with a user and a password in it is a mistake that people make; it is not shown.
  const got = address.includes("@") ? null : address;
  if ("want" in endpoint)
    faults.push({ severity: "error", field: "endpoint", got, want: endpoint.want, hint: `see ${PAGE}` });
  else if (!endpoint.isService && private_key_id !== "")
    faults.push({
      severity: "warning",
      field: "endpoint",
      got,
      want: "https:// before an address of the service, or no private_key_id",
      hint: "the data go to this emulator, and nobody signs in; Dapr goes to the service here",
    });
  return faults;
}
