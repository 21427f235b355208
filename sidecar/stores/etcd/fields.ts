// The metadata fields of state.etcd (dapr-state-stores.md 13a) and what they mean together. Knows no client library.
import { type FieldTable, flag, text, whole } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { pemFaults } from "#kit/pem.ts";
import { parseEndpoints } from "./endpoints.ts";

export interface EtcdSettings {
  readonly endpoints: string;
  readonly keyPrefixPath: string;
  readonly tlsEnable: boolean;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly maxTxnOps: number;
  readonly username: string;
  readonly password: string;
}

/** etcd's own default for --max-txn-ops. */
const TXN_OPERATIONS = 128;
const TXN_OPERATIONS_MAX = 100_000;

export const fields: FieldTable<EtcdSettings> = {
  endpoints: text({
    fallback: "",
    required: true,
    doc: "Servers of one cluster, as `etcd-0:2379,etcd-1:2379` or `[::1]:2379`; the port is 2379, and at most 32. `http://` and `https://` may stand before each and have to agree with `tlsEnable`.",
  }),
  keyPrefixPath: text({ fallback: "", doc: "What stands before each key, followed by a slash." }),
  tlsEnable: flag({
    fallback: false,
    doc: "Speak TLS. The server's certificate is verified by `ca`, against the name or the address of the endpoint.",
  }),
  ca: text({
    fallback: "",
    doc: "PEM text of the authorities that may sign the servers' certificates; needed with `tlsEnable`.",
  }),
  cert: text({ fallback: "", doc: "PEM text of a client certificate; needs `key`." }),
  key: text({ fallback: "", secret: true, doc: "PEM text of the client certificate's key; needs `cert`." }),
  maxTxnOps: whole({
    fallback: TXN_OPERATIONS,
    min: 1,
    max: TXN_OPERATIONS_MAX,
    doc: "Most operations of a transaction: what the servers' `--max-txn-ops` says.",
  }),
  username: text({ fallback: "", doc: "User of etcd, where its authentication is on. Pannier's own." }),
  password: text({ fallback: "", secret: true, doc: "Password of that user. Pannier's own." }),
};

/** What is wrong between fields. */
export function check(settings: Readonly<EtcdSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (field: string, got: string | null, want: string): void => {
    faults.push({ severity: "error", field, got, want, hint: "see docs/stores/etcd.md" });
  };
  const endpoints = parseEndpoints(settings.endpoints, settings.tlsEnable);
  // An endpoint with a user and a password in it is a mistake that people make; it is not shown.
  if ("want" in endpoints)
    fault("endpoints", settings.endpoints.includes("@") ? null : settings.endpoints, endpoints.want);
  if (settings.tlsEnable && settings.ca === "") fault("ca", null, "the PEM text of an authority, beside tlsEnable");
  if ((settings.cert === "") !== (settings.key === "")) fault("cert", null, "cert and key together, or neither");
  if (settings.username === "" && settings.password !== "") fault("username", null, "a user beside password");
  if (settings.username !== "" && settings.password === "") {
    const hint = "an empty one is sent; leave username out where etcd asks for none";
    faults.push({ severity: "warning", field: "username", got: null, want: "a password beside it", hint });
  }
  const { ca, cert, key } = settings;
  if (settings.tlsEnable)
    return [...faults, ...pemFaults({ certificates: { ca, cert }, keys: { key }, pair: ["cert", "key"] })];
  for (const field of ["ca", "cert"] as const) {
    if (settings[field] === "") continue;
    faults.push({ severity: "warning", field, got: null, want: "nothing: tlsEnable is off", hint: null });
  }
  return faults;
}
