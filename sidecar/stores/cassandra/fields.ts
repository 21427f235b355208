// The metadata fields of state.cassandra (dapr-state-stores.md 11a) and what they mean together. Knows no client library.
import { type FieldTable, flag, pattern, text, whole, word } from "#crds/fields.ts";
import type { Fault } from "#kit/fault.ts";
import { pemFaults } from "#kit/pem.ts";
import { PORT_MAX, parseHosts } from "./hosts.ts";

/** As Dapr spells them. */
export const LEVEL_NAMES = [
  "All",
  "One",
  "Two",
  "Three",
  "Quorum",
  "LocalQuorum",
  "EachQuorum",
  "LocalOne",
  "Any",
] as const;
export type LevelName = (typeof LEVEL_NAMES)[number];

export interface CassandraSettings {
  readonly hosts: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly protoVersion: number;
  readonly replicationFactor: number;
  readonly consistency: LevelName;
  readonly table: string;
  readonly keyspace: string;
  readonly enableHostVerification: boolean;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly localDataCenter: string;
  readonly etags: boolean;
}

const PORT = 9042;
const PROTOCOL_VERSION = 4;
const PROTOCOL_VERSION_MAX = 5;
const REPLICAS_MAX = 100;
/** Bare names as CQL takes them, in any case, or quoted ones, which keep theirs. */
const NAME = /^([a-z]\w{0,47}|"\w{1,48}")$/i;
const NAME_WANTED =
  "an ASCII letter, then letters, digits and underscores, 48 at most; in double quotes to keep capitals";

export const fields: FieldTable<CassandraSettings> = {
  hosts: text({
    fallback: "",
    required: true,
    doc: "Nodes of one cluster, as `cassandra-0,cassandra-1:9042` or `[::1]`, at most 64. The others are found by them, under their own addresses.",
  }),
  port: whole({
    fallback: PORT,
    min: 1,
    max: PORT_MAX,
    doc: "Port of all nodes, but of those in `hosts` that have their own.",
  }),
  username: text({
    fallback: "",
    doc: "User, where the cluster wants one. Without `password` it is not used, and draws a warning.",
  }),
  password: text({ fallback: "", secret: true, doc: "Password of that user." }),
  protoVersion: whole({
    fallback: PROTOCOL_VERSION,
    min: 0,
    max: PROTOCOL_VERSION_MAX,
    doc: "Highest version of the protocol to speak; 0 and 5 mean 4.",
  }),
  replicationFactor: whole({
    fallback: 1,
    min: 1,
    max: REPLICAS_MAX,
    doc: "Replicas of each row, where the keyspace has to be made.",
  }),
  consistency: word<LevelName>({
    fallback: "All",
    words: LEVEL_NAMES,
    doc: "Consistency of calls that are not `strong`.",
  }),
  table: pattern({
    fallback: "items",
    shape: NAME,
    want: NAME_WANTED,
    doc: "Table, made where it is not there; in double quotes to keep capitals.",
  }),
  keyspace: pattern({
    fallback: "dapr",
    shape: NAME,
    want: NAME_WANTED,
    doc: "Keyspace, made where it is not there; in double quotes to keep capitals.",
  }),
  enableHostVerification: flag({
    fallback: false,
    doc: "Speak TLS, and verify the certificates of the nodes, by their addresses or by the names in `hosts`.",
  }),
  ca: text({ fallback: "", shownDefault: "the system's", doc: "PEM text of the authorities. Pannier's own." }),
  cert: text({ fallback: "", doc: "PEM text of a client certificate; needs `key`. Pannier's own." }),
  key: text({
    fallback: "",
    secret: true,
    doc: "PEM text of the client certificate's key; needs `cert`. Pannier's own.",
  }),
  localDataCenter: text({
    fallback: "",
    doc: "Send requests to the nodes of this data center only; without it to all alike. Pannier's own.",
  }),
  etags: flag({ fallback: false, doc: "Give values ETags, by lightweight transactions. Pannier's own." }),
};

/** What is wrong between fields. */
export function check(settings: Readonly<CassandraSettings>): readonly Fault[] {
  const faults: Fault[] = [];
  const fault = (severity: Fault["severity"], field: string, got: string | null, want: string): void => {
    faults.push({ severity, field, got, want, hint: "see docs/stores/cassandra.md" });
  };
  const hosts = parseHosts(settings.hosts, settings.port);
  // A host with a user and a password in it is a mistake that people make; it is not shown.
  if ("want" in hosts) fault("error", "hosts", settings.hosts.includes("@") ? null : settings.hosts, hosts.want);
  // Dapr signs in with both only, and says nothing about one that is alone.
  if ((settings.username === "") !== (settings.password === ""))
    fault("warning", "username", null, "username and password together: without both nobody signs in");
  if ((settings.cert === "") !== (settings.key === ""))
    fault("error", "cert", null, "cert and key together, or neither");
  for (const field of ["ca", "cert"] as const) {
    if (settings[field] !== "" && !settings.enableHostVerification)
      fault("error", field, null, 'enableHostVerification: "true" beside it: without it there is no TLS');
  }
  const { ca, cert, key } = settings;
  if (!settings.enableHostVerification) return faults;
  return [...faults, ...pemFaults({ certificates: { ca, cert }, keys: { key }, pair: ["cert", "key"] })];
}
