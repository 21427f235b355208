// From settings to a connection string, and what is wrong between them (dapr-state-stores.md 12a). The client library
// judges the string; of what it says only the names of options are passed on, for the rest can hold a secret.
import { MongoClient, type MongoClientOptions } from "mongodb";
import type { Fault } from "#kit/fault.ts";
import type { NeededPackage } from "../packages.ts";
import type { MongodbSettings } from "./fields.ts";

/** Longest that a request waits for a server to be found, and its share of the request's time: it then fails by itself. */
const SELECTION_MS_MAX = 3_000;
const SELECTION_SHARE = 0.6;
/** Of the request's time, for a connection to become free: a write is not sent when nobody waits for it any more. */
const CONNECTION_SHARE = 0.9;
/** The client cuts a connection that has not answered for so long beyond the request's time. */
const SILENCE_MORE_MS = 1_000;

export interface Address {
  readonly uri: string;
  readonly options: MongoClientOptions;
}

export function addressOf(settings: Readonly<MongodbSettings>): Address {
  const uri = uriOf(settings);
  const { operationTimeout } = settings;
  const given = namesIn(uri);
  const times: Readonly<Record<string, number>> = {
    serverSelectionTimeoutMS: Math.min(SELECTION_MS_MAX, Math.ceil(operationTimeout * SELECTION_SHARE)),
    connectTimeoutMS: operationTimeout,
    waitQueueTimeoutMS: Math.ceil(operationTimeout * CONNECTION_SHARE),
    socketTimeoutMS: operationTimeout + SILENCE_MORE_MS,
  };
  // What the string says itself is left alone.
  const own = Object.entries(times).filter(([name]) => !given.has(name.toLowerCase()));
  return { uri, options: { ...Object.fromEntries(own), driverInfo: { name: "pannier" } } };
}

function uriOf(settings: Readonly<MongodbSettings>): string {
  const { connectionString, host, server, username, password, databaseName } = settings;
  if (connectionString !== "") return connectionString;
  const secret = password === "" ? "" : `:${encodeURIComponent(password)}`;
  const user = signsIn(settings) ? `${encodeURIComponent(username)}${secret}@` : "";
  const scheme = server === "" ? "mongodb" : "mongodb+srv";
  const path = encodeURIComponent(databaseName) + queryOf(settings);
  return `${scheme}://${user}${server === "" ? host : server}/${path}`;
}

function queryOf({ params }: Readonly<MongodbSettings>): string {
  return params === "" || params.startsWith("?") ? params : `?${params}`;
}

/** Without a password Dapr signs nobody in. A user who shows a certificate has none. */
function signsIn(settings: Readonly<MongodbSettings>): boolean {
  const { username, password } = settings;
  return username !== "" && (password !== "" || namesIn(queryOf(settings)).has("authmechanism"));
}

/** Names of the options in a connection string, in lower case. */
function namesIn(uri: string): ReadonlySet<string> {
  const question = uri.indexOf("?");
  const pairs = question < 0 ? [] : uri.slice(question + 1).split("&");
  return new Set(pairs.map((pair) => (pair.split("=")[0] ?? "").toLowerCase()));
}

/** With this mechanism the client library asks AWS who it is, by a package that it does not bring. */
const AWS_MECHANISM = /[?&]authMechanism=MONGODB-AWS(?:&|$)/i;

export function packagesOf(settings: Readonly<MongodbSettings>): readonly NeededPackage[] {
  if (!AWS_MECHANISM.test(uriOf(settings))) return [];
  return [
    { name: "@aws-sdk/credential-providers", field: settings.connectionString === "" ? "params" : "connectionString" },
  ];
}

/** Where the servers are, for people: "mongo-0:27017,mongo-1:27017". */
export function serversOf(client: MongoClient): string {
  const { srvHost, hosts } = client.options;
  return srvHost ?? hosts.map(String).join(",");
}

/** The sentence of the client library that names options and nothing else. */
const UNKNOWN_OPTIONS = /^options? [\w, ]+ (?:is|are) not supported$/;

/** What is wrong between fields. */
export function check(settings: Readonly<MongodbSettings>): readonly Fault[] {
  const { connectionString, host, server, username, password } = settings;
  const faults: Fault[] = [];
  const add = (severity: Fault["severity"], field: string, want: string): void => {
    faults.push({ severity, field, got: null, want, hint: "see docs/stores/mongodb.md" });
  };
  if (connectionString !== "") {
    for (const field of ["host", "server", "username", "password", "params"] as const)
      if (settings[field] !== "") add("warning", field, "nothing: connectionString has it all");
  } else if (host === "" && server === "") add("error", "host", "a value: host, server or connectionString");
  else if (host !== "" && server !== "") add("error", "server", "nothing beside host: they are mutually exclusive");
  if (username === "" && password !== "" && connectionString === "") add("error", "username", "a user beside password");
  if (username !== "" && connectionString === "" && !signsIn(settings))
    add("warning", "username", "a password beside it, or an authMechanism in params: without them nobody signs in");
  if (faults.some(({ severity }) => severity === "error")) return faults;
  const problem = problemWith(settings);
  if (problem !== null) add("error", problem.field, problem.want);
  return faults;
}

function problemWith(settings: Readonly<MongodbSettings>): { readonly field: string; readonly want: string } | null {
  const { uri, options } = addressOf(settings);
  try {
    // Only reads the string: it connects when it is told to.
    const { writeConcern } = new MongoClient(uri, options).options;
    if (writeConcern?.w !== 0) return null;
    return {
      field: fieldOf(settings, true),
      want: "a write concern other than w=0: unanswered writes keep no promise",
    };
  } catch (error) {
    const said = error instanceof Error ? error.message : "";
    const isUnknown = UNKNOWN_OPTIONS.test(said);
    const faulty = isUnknown ? [] : faultyOptions(settings);
    const isOption = isUnknown || faulty === null || faulty.length > 0;
    const wants = isUnknown ? `options that the client knows: ${said}` : wanted(faulty);
    return {
      field: fieldOf(settings, isOption),
      want: `${wants}, as "mongodb://user:password@host:27017/?replicaSet=rs0"`,
    };
  }
}

/** `faulty`: as {@link faultyOptions} gives it. */
function wanted(faulty: readonly string[] | null): string {
  if (faulty === null) return "options with values that the client takes";
  if (faulty.length === 0) return "a connection string of MongoDB";
  const values = faulty.length === 1 ? "a value that the client takes" : "values that the client takes";
  return `${values} for ${faulty.join(" and ")}`;
}

/**
 * Names of the options by which the string cannot be read, without their values. None where it cannot be read without
 * options either; null where it can, and it does not show which of them it is.
 */
function faultyOptions(settings: Readonly<MongodbSettings>): readonly string[] | null {
  const { connectionString, params } = settings;
  const ofString = connectionString !== "";
  const [start = "", query = ""] = ofString ? splitAt(connectionString, "?") : ["", params.replace(/^\?/, "")];
  const pairs = query === "" ? [] : query.split("&");
  const readable = (kept: readonly string[]): boolean => {
    const text = kept.length === 0 ? "" : `?${kept.join("&")}`;
    return canBeRead({ ...settings, ...(ofString ? { connectionString: start + text } : { params: text }) });
  };
  if (pairs.length === 0 || !readable([])) return [];
  const names = culprits(pairs, readable).map((pair) => splitAt(pair, "=")[0]);
  // What stands behind a question mark in a password is the name of no option, and is not shown.
  return names.length > 0 && names.every(isOptionName) ? names : null;
}

/** One that is enough to leave out, else all that cannot be read beside those before them. */
function culprits(pairs: readonly string[], readable: (kept: readonly string[]) => boolean): readonly string[] {
  const alone = pairs.find((pair) => readable(pairs.filter((each) => each !== pair)));
  if (alone !== undefined) return [alone];
  const kept: string[] = [];
  return pairs.filter((pair) => {
    const fits = readable([...kept, pair]);
    if (fits) kept.push(pair);
    return !fits;
  });
}

/** Whether the client knows an option of this name. */
function isOptionName(name: string): boolean {
  if (!/^[a-z]+$/i.test(name)) return false;
  try {
    return new MongoClient(`mongodb://localhost/?${name}=1`).options !== undefined;
  } catch (error) {
    // It may well mind the value.
    return error instanceof Error && !UNKNOWN_OPTIONS.test(error.message);
  }
}

/** What stands before the first `mark`, and what behind it. */
function splitAt(text: string, mark: string): readonly [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + mark.length)];
}

function canBeRead(settings: Readonly<MongodbSettings>): boolean {
  const { uri, options } = addressOf(settings);
  try {
    return new MongoClient(uri, options).options !== undefined;
  } catch {
    // What is wrong is told by whoever asks.
    return false;
  }
}

/** Where the person has written what the string is made of; `option`: what is wrong is one of the options. */
function fieldOf({ connectionString, server, params }: MongodbSettings, option: boolean): string {
  if (connectionString !== "") return "connectionString";
  if (params !== "" && option) return "params";
  return server === "" ? "host" : "server";
}
