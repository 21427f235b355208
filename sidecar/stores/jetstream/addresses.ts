// Where the servers are, and who signs in there: the forms that `natsURL` may take (dapr-state-stores.md 17).
import { isIPv6 } from "node:net";

/** Without a password its name is a token, as for Dapr's client. */
export interface User {
  readonly name: string;
  readonly password: string | null;
}

export interface Addresses {
  /** "nats-0:4222", "[::1]:4222". */
  readonly servers: readonly string[];
  readonly tls: boolean;
  /** Null where the URL names nobody. */
  readonly user: User | null;
}

const DEFAULT_PORT = 4222;
const PORT_MAX = 65_535;
const SERVERS_MAX = 32;
const URL_PARTS = /^(?:(nats|tls):\/\/)?(?:([^@/]*)@)?(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?\/?$/i;

const WANTED = 'URLs as in "nats://nats-0:4222,nats://nats-1:4222" or "tls://nats:4222"';

interface Part {
  readonly server: string;
  readonly tls: boolean;
  readonly userinfo: string | null;
}

/** Reads a list with commas; `{ want }` tells what was wanted of a text that is none. */
export function parseAddresses(text: string): Addresses | { readonly want: string } {
  const parts: Part[] = [];
  for (const each of text.split(",")) {
    const part = parsePart(each.trim());
    if ("want" in part) return part;
    parts.push(part);
  }
  if (parts.length > SERVERS_MAX) return { want: `at most ${SERVERS_MAX} servers` };
  const [first, ...others] = parts;
  if (first === undefined || others.some(({ tls }) => tls !== first.tls))
    return { want: "tls:// before all servers, or before none" };
  const named = parts.filter(({ userinfo }) => userinfo !== null).map(({ userinfo }) => userinfo);
  if (new Set(named).size > 1) return { want: "one user and password for all servers" };
  const user = userOf(named[0] ?? null);
  if (user !== null && "want" in user) return user;
  return { servers: parts.map(({ server }) => server), tls: first.tls, user };
}

function parsePart(text: string): Part | { readonly want: string } {
  const [, scheme = "nats", userinfo = null, host = "", port = String(DEFAULT_PORT)] = URL_PARTS.exec(text) ?? [];
  if (host === "" || (host.startsWith("[") && !isIPv6(host.slice(1, -1)))) return { want: WANTED };
  if (Number(port) < 1 || Number(port) > PORT_MAX) return { want: `a port from 1 to ${PORT_MAX} after the last colon` };
  return { server: `${host}:${port}`, tls: scheme.toLowerCase() === "tls", userinfo };
}

/** "user:password", or a token alone. */
function userOf(userinfo: string | null): User | null | { readonly want: string } {
  if (userinfo === null || userinfo === "") return null;
  const colon = userinfo.indexOf(":");
  try {
    const name = decodeURIComponent(colon < 0 ? userinfo : userinfo.slice(0, colon));
    return { name, password: colon < 0 ? null : decodeURIComponent(userinfo.slice(colon + 1)) };
  } catch {
    // The runtime's words would show what stands there.
    return { want: "a user and a password that are percent-encoded where they have special characters" };
  }
}
