// The metadata fields of state.mongodb (dapr-state-stores.md 12a). Knows no client library.
import { duration, type FieldTable, pattern, text, word } from "#crds/fields.ts";

export const READ_CONCERNS = ["", "local", "majority", "available", "linearizable", "snapshot"] as const;
export type ReadConcern = (typeof READ_CONCERNS)[number];

export interface MongodbSettings {
  readonly connectionString: string;
  readonly host: string;
  readonly server: string;
  readonly username: string;
  readonly password: string;
  readonly databaseName: string;
  readonly collectionName: string;
  /** "majority", a number of servers, or "" for one. */
  readonly writeConcern: string;
  readonly readConcern: ReadConcern;
  readonly params: string;
  /** Milliseconds. */
  readonly operationTimeout: number;
}

const TIMEOUT_MS = 5_000;
const TIMEOUT_MS_MIN = 100;
const TIMEOUT_MS_MAX = 3_600_000;

export const fields: FieldTable<MongodbSettings> = {
  connectionString: text<string>({
    fallback: "",
    secret: true,
    doc: "`mongodb://…` or `mongodb+srv://…`, used as it stands; in place of `host`, `server`, `username`, `password` and `params`.",
  }),
  host: text<string>({ fallback: "", doc: "Servers, as `mongo-0:27017,mongo-1:27017`; either this or `server`." }),
  server: text<string>({
    fallback: "",
    doc: "Name of a DNS SRV record that lists the servers; either this or `host`.",
  }),
  username: text<string>({
    fallback: "",
    doc: "User; any characters, they are encoded here. Without `password` it counts only beside an `authMechanism` in `params`, and else draws a warning.",
  }),
  password: text<string>({ fallback: "", secret: true, doc: "Password of that user; any characters." }),
  databaseName: pattern<string>({
    fallback: "daprStore",
    shape: /^[^\0/\\. "$]{1,63}$/,
    want: '1 to 63 characters, none of them / \\ . " $, a space or a NUL',
    doc: "Database; also where the user is looked up, unless `params` say `authSource`.",
  }),
  collectionName: pattern<string>({
    fallback: "daprCollection",
    shape: /^(?!system\.)[^\0$]{1,200}$/,
    want: "1 to 200 characters, without $ and NUL, and not beginning with system.",
    doc: "Collection of the documents; made when it is not there.",
  }),
  writeConcern: pattern<string>({
    fallback: "",
    shownDefault: "`1`",
    shape: /^(|majority|[1-9]\d?)$/,
    want: '"majority" or a number of servers from 1 to 99',
    doc: "How many servers must have a write in their journals before it is answered: `majority`, or a number from 1. Without it `w` of `params` or `connectionString` counts, where it is there.",
  }),
  readConcern: word<ReadConcern>({
    fallback: "",
    shownDefault: "`local`",
    words: READ_CONCERNS,
    doc: "Which state of the data reads show.",
  }),
  params: text<string>({
    fallback: "",
    doc: "More options of the connection, as `?replicaSet=rs0&tls=true`. An unknown one is an error.",
  }),
  operationTimeout: duration<number>({
    fallback: TIMEOUT_MS,
    bare: "seconds",
    min: TIMEOUT_MS_MIN,
    max: TIMEOUT_MS_MAX,
    doc: "Longest that a request waits for its answer, for a server and a connection included.",
  }),
};
