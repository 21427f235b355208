// A connection string in either of its forms as plain parameters: `postgres://user:password@host/db?name=value` and
// `host=… user='…'` (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING). Judges no parameter.

export type ConnectionStringReading =
  /** By name, "database" and never "dbname"; hosts and ports as lists with commas. */
  | { readonly parameters: ReadonlyMap<string, string> }
  /** What was wanted instead; never shows a part of the text. */
  | { readonly want: string };

/** Reads a connection string; the empty one has no parameters. */
export function readConnectionString(text: string): ConnectionStringReading {
  return /^postgres(ql)?:\/\//i.test(text) ? readUri(text.slice(text.indexOf("://") + 3)) : readPairs(text);
}

const URI_WANT = "a URI as postgres://user:password@host:5432/database?sslmode=require";
const PAIRS_WANT = "pairs as host=localhost user=app password='a b' dbname=app";

function readUri(rest: string): ConnectionStringReading {
  if (rest.includes("#")) return { want: `${URI_WANT}, with %23 in place of #` };
  const question = rest.indexOf("?");
  const beforeQuery = question < 0 ? rest : rest.slice(0, question);
  const at = beforeQuery.lastIndexOf("@");
  const afterUser = beforeQuery.slice(at + 1);
  const slash = afterUser.indexOf("/");
  const hosts = slash < 0 ? afterUser : afterUser.slice(0, slash);
  const parameters = new Map<string, string>();
  try {
    if (at >= 0) readUser(beforeQuery.slice(0, at), parameters);
    if (hosts !== "" && !readHosts(hosts, parameters))
      return { want: `${URI_WANT}, ports as numbers and an IPv6 address as [::1]` };
    if (slash >= 0 && slash + 1 < afterUser.length)
      parameters.set("database", decodeURIComponent(afterUser.slice(slash + 1)));
    if (question >= 0) readQuery(rest.slice(question + 1), parameters);
  } catch (error) {
    // What decodeURIComponent throws; any other error is not about the text.
    if (!(error instanceof URIError)) throw error;
    return { want: `${URI_WANT}, with %25 in place of %` };
  }
  return { parameters };
}

function readUser(text: string, parameters: Map<string, string>): void {
  const colon = text.indexOf(":");
  const user = decodeURIComponent(colon < 0 ? text : text.slice(0, colon));
  if (user !== "") parameters.set("user", user);
  if (colon >= 0) parameters.set("password", decodeURIComponent(text.slice(colon + 1)));
}

const HOST_PORT = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/;

function readHosts(text: string, parameters: Map<string, string>): boolean {
  const parsed = text.split(",").map((each) => HOST_PORT.exec(each));
  if (parsed.includes(null)) return false;
  parameters.set("host", parsed.map((each) => each?.[1] ?? decodeURIComponent(each?.[2] ?? "")).join(","));
  const ports = parsed.map((each) => each?.[3] ?? "");
  if (ports.some((port) => port !== "")) parameters.set("port", ports.join(","));
  return true;
}

function readQuery(text: string, parameters: Map<string, string>): void {
  for (const [name, value] of new URLSearchParams(text)) parameters.set(nameOf(name), value);
}

/** A pair at the place of the last match: a name, and a value bare or in quotes, where a backslash keeps what follows. */
const PAIR = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'(?=\s|$)|((?:[^\s'\\]|\\.)*)(?=\s|$))/gsy;

function readPairs(text: string): ConnectionStringReading {
  const parameters = new Map<string, string>();
  const trimmed = text.trimEnd();
  PAIR.lastIndex = 0;
  let end = 0;
  for (let pair = PAIR.exec(trimmed); pair !== null; pair = PAIR.exec(trimmed)) {
    const [, name = "", quoted, bare = ""] = pair;
    parameters.set(nameOf(name), (quoted ?? bare).replaceAll(/\\(.)/gs, "$1"));
    end = PAIR.lastIndex;
  }
  return end === trimmed.length ? { parameters } : { want: `${PAIRS_WANT}, or ${URI_WANT}` };
}

function nameOf(name: string): string {
  return name === "dbname" ? "database" : name;
}
