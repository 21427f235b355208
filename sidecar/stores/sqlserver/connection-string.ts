// A connection string as go-mssqldb takes it, which Dapr uses: `Server=…;User Id=…`, `odbc:server=…;password={…}` or
// `sqlserver://user:password@host:port/instance?name=value`. Gives its parameters under one name each; judges none.

export type ConnectionStringReading =
  /** By names in lower case, "user id" and "app name" with their space. */
  | { readonly read: ReadonlyMap<string, string> }
  /** What was wanted instead; never shows a part of the text. */
  | { readonly want: string };

const WANT =
  "Server=host;Port=1433;User Id=user;Password=password;Database=name, or sqlserver://user:password@host:1433";

const PORT_WANT = "a port from 1 to 65535 behind the host";
const PORT_MAX = 65_535;

/** Other spellings of a parameter, each for the one that is used here. */
const SYNONYMS: Readonly<Record<string, string>> = {
  address: "server",
  addr: "server",
  "network address": "server",
  "data source": "server",
  user: "user id",
  uid: "user id",
  username: "user id",
  "user name": "user id",
  pwd: "password",
  "initial catalog": "database",
  "application name": "app name",
  application: "app name",
  "connect timeout": "connection timeout",
  timeout: "connection timeout",
  wsid: "workstation id",
  "trust server certificate": "trustservercertificate",
  "host name in certificate": "hostnameincertificate",
  "application intent": "applicationintent",
  "multi subnet failover": "multisubnetfailover",
  "column encryption setting": "columnencryption",
  trusted_connection: "integrated security",
};

export function readConnectionString(text: string): ConnectionStringReading {
  const pairs = text.startsWith("sqlserver://")
    ? pairsOfUrl(text)
    : text.startsWith("odbc:")
      ? pairsOfOdbc(text.slice("odbc:".length))
      : pairsOfAdo(text);
  if (pairs === null) return { want: hasWrongPort(text) ? PORT_WANT : WANT };
  const read = new Map<string, string>();
  for (const [name, value] of pairs) {
    const lower = name.trim().toLowerCase();
    if (lower !== "") read.set(SYNONYMS[lower] ?? lower, value);
  }
  return { read };
}

type Pairs = readonly (readonly [string, string])[];

function pairsOfUrl(text: string): Pairs | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  try {
    const instance = decodeURIComponent(url.pathname.slice(1));
    const host = decodeURIComponent(url.hostname);
    const pairs: (readonly [string, string])[] = [
      ["server", instance === "" ? host : `${host}\\${instance}`],
      ["user id", decodeURIComponent(url.username)],
      ["password", decodeURIComponent(url.password)],
    ];
    if (url.port !== "") pairs.push(["port", url.port]);
    return [...pairs, ...url.searchParams];
  } catch (error) {
    // What decodeURIComponent throws for a lone percent sign; any other error is not about the text.
    if (!(error instanceof URIError)) throw error;
    return null;
  }
}

/** The runtime reads no such URL, and does not tell why. */
function hasWrongPort(text: string): boolean {
  const [, digits = ""] = /^sqlserver:\/\/(?:[^/?#]*@)?(?:\[[^\]]*\]|[^:@/?#]*):(\d+)(?:[/?#]|$)/.exec(text) ?? [];
  return Number(digits) > PORT_MAX;
}

/** What may stand behind a value. */
const BEHIND = /^\s*(;|$)/;

/**
 * `name=value;name="a value; with all"`; a doubled quote inside quotes is one. The go-mssqldb of Dapr knows no quotes, so
 * those that enclose no whole value are a part of it.
 */
function pairsOfAdo(text: string): Pairs | null {
  return pairsOf(text, (rest) => {
    const enclosed = rest.startsWith('"') ? enclosedValue(rest, '"') : null;
    return enclosed !== null && BEHIND.test(rest.slice(enclosed.length)) ? enclosed : plainValue(rest);
  });
}

/** `name={a value; with all};`; a doubled brace inside braces is one. */
function pairsOfOdbc(text: string): Pairs | null {
  return pairsOf(text, (rest) => (rest.startsWith("{") ? enclosedValue(rest, "}") : plainValue(rest)));
}

interface Value {
  readonly value: string;
  /** Characters that it takes, without the semicolon behind it. */
  readonly length: number;
}

function pairsOf(text: string, read: (rest: string) => Value | null): Pairs | null {
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at < text.length; ) {
    const semicolon = text.indexOf(";", at);
    const equals = text.indexOf("=", at);
    if (equals < 0 || (semicolon >= 0 && semicolon < equals)) {
      // Between two semicolons there may be nothing, and nothing else without an equals sign.
      const end = semicolon < 0 ? text.length : semicolon;
      if (text.slice(at, end).trim() !== "") return null;
      at = end + 1;
      continue;
    }
    const start = equals + 1 + (text.slice(equals + 1).length - text.slice(equals + 1).trimStart().length);
    const value = read(text.slice(start));
    if (value === null) return null;
    pairs.push([text.slice(at, equals), value.value]);
    const behind = text.slice(start + value.length);
    if (behind.trim() !== "" && !behind.trimStart().startsWith(";")) return null;
    at = start + value.length + (behind.length - behind.trimStart().length) + 1;
  }
  return pairs;
}

function plainValue(rest: string): Value {
  const semicolon = rest.indexOf(";");
  const raw = semicolon < 0 ? rest : rest.slice(0, semicolon);
  return { value: raw.trim(), length: raw.length };
}

function enclosedValue(rest: string, closing: string): Value | null {
  let value = "";
  for (let at = 1; at < rest.length; at++) {
    const character = rest.charAt(at);
    if (character !== closing) value += character;
    else if (rest.charAt(at + 1) === closing) {
      value += closing;
      at++;
    } else return { value, length: at + 1 };
  }
  return null;
}
