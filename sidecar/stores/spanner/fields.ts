// The metadata fields of state.gcp.spanner, which Dapr does not have: named after those of its state.gcp.firestore and its
// SQL stores (dapr-state-stores.md 16a, 3a). And what they mean together. Knows no client library.
import { duration, type FieldTable, pattern, text } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { parseEndpoint } from "../google/endpoint.ts";
import { checkServiceAccount, type ServiceAccountSettings, serviceAccountFields } from "../google/fields.ts";

export interface SpannerSettings extends ServiceAccountSettings {
  readonly project_id: string;
  readonly instance_id: string;
  readonly database_id: string;
  readonly tableName: string;
  readonly endpoint: string;
  /** Milliseconds. */
  readonly timeout: number;
  /** Milliseconds; 0: every read is strong. */
  readonly maxStaleness: number;
}

export const HOST = "spanner.googleapis.com";
export const PAGE = "docs/stores/gcp.spanner.md";

const TIMEOUT_MS = 20_000;
const TIMEOUT_MS_MIN = 1000;
const HOUR_MS = 3_600_000;

/** What the names of Google's resources may hold; projects can have a domain before a colon. */
const RESOURCE = {
  shape: /^[a-z][\w.:-]*$/,
  want: "a name as Google gives it: a lower-case letter, then ASCII letters, digits and _.:-",
};

export const fields: FieldTable<SpannerSettings> = {
  project_id: pattern({
    ...RESOURCE,
    fallback: "",
    required: true,
    aliases: ["projectId", "project"],
    doc: "Project that the instance is in.",
  }),
  instance_id: pattern({
    ...RESOURCE,
    fallback: "",
    required: true,
    aliases: ["instanceId", "instance"],
    doc: "Instance of Spanner.",
  }),
  database_id: pattern({
    ...RESOURCE,
    fallback: "",
    required: true,
    aliases: ["databaseId", "database"],
    doc: "Database, which has to be there, in the dialect GoogleSQL.",
  }),
  tableName: pattern({
    shape: /^[A-Za-z]\w{0,127}$/,
    want: "an ASCII letter, then letters, digits and underscores, 128 at most",
    fallback: "state",
    aliases: ["table"],
    doc: "Table, made when it is not there.",
  }),
  endpoint: text({
    fallback: "",
    shownDefault: "the service's",
    aliases: ["connectionEndpoint", "emulatorHost"],
    doc: "`host:port` of an emulator, as `SPANNER_EMULATOR_HOST` has it: without TLS and without a sign-in. `https://host` or `https://host:port` for another address of the service, as a regional one.",
  }),
  timeout: duration<number>({
    fallback: TIMEOUT_MS,
    bare: "seconds",
    min: TIMEOUT_MS_MIN,
    max: HOUR_MS,
    aliases: ["timeoutInSeconds"],
    doc: "Longest that a request waits for its answer, further attempts of a transaction included.",
  }),
  maxStaleness: duration<number>({
    fallback: 0,
    shownDefault: "`0s`",
    bare: "seconds",
    min: 0,
    max: HOUR_MS,
    doc: "How old may be what a read without `strong` finds: then the nearest replica can answer. 0: every read is strong.",
  }),
  ...serviceAccountFields,
};

/** What is wrong between fields. */
export function check(settings: Readonly<SpannerSettings>): readonly Fault[] {
  const faults = [...checkServiceAccount(settings, PAGE)];
  const endpoint = parseEndpoint(settings.endpoint, HOST);
  // An endpoint with a user and a password in it is a mistake that people make; it is not shown.
  const got = settings.endpoint.includes("@") ? null : settings.endpoint;
  if ("want" in endpoint)
    faults.push({ severity: "error", field: "endpoint", got, want: endpoint.want, hint: `see ${PAGE}` });
  else if (!endpoint.isService && settings.private_key_id !== "")
    faults.push({
      severity: "warning",
      field: "private_key_id",
      got: null,
      want: "nothing: nobody signs in at an emulator",
      hint: "with https:// before it, endpoint is an address of the service",
    });
  return faults;
}

/** The full name, as calls have it. */
export function databaseOf({ project_id, instance_id, database_id }: Readonly<SpannerSettings>): string {
  return `projects/${project_id}/instances/${instance_id}/databases/${database_id}`;
}
