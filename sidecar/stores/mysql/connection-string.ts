// A data source name as go-sql-driver writes it: `user:password@protocol(address)/schema?name=value`
// (https://github.com/go-sql-driver/mysql#dsn-data-source-name). Judges no parameter.

export interface ConnectionString {
  readonly user: string;
  readonly password: string;
  /** "tcp" or "unix". */
  readonly protocol: string;
  /** `host:port`, or the path of a socket; "" for the protocol's default. */
  readonly address: string;
  readonly schema: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export type ConnectionStringReading =
  | { readonly read: ConnectionString }
  /** What was wanted instead; never shows a part of the text. */
  | { readonly want: string };

const WANT = "user:password@tcp(host:3306)/?tls=true";

/** The password stands as it is: the last slash ends it, the last @ before that, the first colon begins it. */
export function readConnectionString(text: string): ConnectionStringReading {
  const question = text.indexOf("?", text.lastIndexOf(")") + 1);
  const beforeQuery = question < 0 ? text : text.slice(0, question);
  const slash = beforeQuery.lastIndexOf("/");
  if (slash < 0) return { want: `${WANT}: a slash behind the server` };
  const at = beforeQuery.lastIndexOf("@", slash);
  const server = readServer(beforeQuery.slice(at + 1, slash));
  if (server === null) return { want: `${WANT}, the server as tcp(host:port) or unix(path)` };
  try {
    const parameters = readParameters(question < 0 ? "" : text.slice(question + 1));
    const schema = decodeURIComponent(beforeQuery.slice(slash + 1));
    return { read: { ...readUser(at < 0 ? "" : beforeQuery.slice(0, at)), ...server, schema, parameters } };
  } catch (error) {
    // What decodeURIComponent throws; any other error is not about the text.
    if (!(error instanceof URIError)) throw error;
    return { want: `${WANT}, with %25 in place of % behind the slash` };
  }
}

function readUser(text: string): Pick<ConnectionString, "user" | "password"> {
  const colon = text.indexOf(":");
  return colon < 0 ? { user: text, password: "" } : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

function readServer(text: string): Pick<ConnectionString, "protocol" | "address"> | null {
  if (text === "") return { protocol: "tcp", address: "" };
  const [, protocol = "", address = ""] = /^(tcp|unix)(?:\(([^()]*)\))?$/.exec(text) ?? [];
  return protocol === "" ? null : { protocol, address };
}

function readParameters(text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const pair of text.split("&")) {
    const equals = pair.indexOf("=");
    if (equals > 0)
      parameters.set(pair.slice(0, equals), decodeURIComponent(pair.slice(equals + 1).replaceAll("+", " ")));
  }
  return parameters;
}
