// Where servers are: the forms that `redisHost` and `redisPort` may take (dapr-state-stores.md 2a), and those in which
// servers tell of each other.
import { isIPv6 } from "node:net";

export interface Address {
  readonly host: string;
  readonly port: number;
}

const DEFAULT_HOST = "localhost";
const DEFAULT_PORT = 6379;
const PORT_MAX = 65_535;
const HOST_AND_PORT = /^(?:[\w.-]*|\[[\da-fA-F:.]*\])(?::\d*)?$/;

/** Most servers that `redisHost` may list. */
const LISTED_MAX = 100;

/** Reads a list of addresses, separated by commas, as clusters and sentinels have it; else as {@link parseAddress} does. */
export function parseAddresses(text: string, redisPort: number | null): readonly Address[] | { readonly want: string } {
  const parts = text.split(",");
  if (parts.length > LISTED_MAX) return { want: `at most ${LISTED_MAX} addresses` };
  const addresses: Address[] = [];
  for (const part of parts) {
    const address = parseAddress(part, redisPort);
    if ("want" in address) return address;
    addresses.push(address);
  }
  return addresses;
}

/**
 * Reads an address as a server tells it, "10.0.0.7:6379" or "::1:6379". Without a host, or with "?" for one that is not
 * known, it is a port of the host that was asked. Null when it is none.
 */
export function toldAddress(text: string, asked: Address): Address | null {
  const colon = text.lastIndexOf(":");
  return colon < 0 ? null : hostAndPort(text.slice(0, colon), text.slice(colon + 1), asked);
}

/** The same for a host and a port that come apart. */
export function hostAndPort(host: string, port: string, asked: Address): Address | null {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > PORT_MAX) return null;
  return { host: host === "" || host === "?" ? asked.host : host, port: number };
}

/**
 * Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. Empty text is localhost, as with Dapr's client;
 * without a port it is `redisPort`, else 6379. Gives `{ want }` when the text is none of these or names another port
 * than `redisPort`; the words of `want` hold nothing of either field.
 */
export function parseAddress(text: string, redisPort: number | null): Address | { readonly want: string } {
  const trimmed = text.trim();
  if (trimmed.includes(",") && mayBeShown(trimmed))
    return { want: 'one host: a list goes with redisType "cluster", or with failover' };
  const { host, port } = split(trimmed);
  if (host === null) return { want: 'a host as in "redis", "redis:6379", "10.0.0.7:6379" or "[::1]:6379"' };
  if (port === null) return { host, port: redisPort ?? DEFAULT_PORT };
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > PORT_MAX) return { want: `a port from 1 to ${PORT_MAX} after the last colon` };
  if (redisPort !== null && redisPort !== number) return { want: "no port, or the one of redisPort" };
  return { host, port: number };
}

/**
 * Whether a wrong `redisHost` may stand in a fault: when it is hosts and ports and nothing else. People put URLs and
 * other clients' connection strings there, which hold passwords.
 */
export function mayBeShown(text: string): boolean {
  return text.split(",").every((part) => HOST_AND_PORT.test(part.trim()) || isIPv6(part.trim()));
}

/** As it stands in errors and logs: "redis.example:6379", "[::1]:6379". */
export function formatAddress(address: Address): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

function split(text: string): { host: string | null; port: string | null } {
  if (text === "") return { host: DEFAULT_HOST, port: null };
  const bracketed = /^\[([0-9a-fA-F:.]+(?:%\w+)?)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) return { host: bracketed[1] ?? null, port: bracketed[2] ?? null };
  const colons = text.split(":").length - 1;
  // No host has these in its name; what has them holds more than a host.
  if (/[\s[\]/@=,;?#]/.test(text)) return { host: null, port: null };
  if (colons === 0) return { host: text, port: null };
  if (colons > 1) return { host: isIPv6(text) ? text : null, port: null };
  const at = text.indexOf(":");
  return { host: at === 0 ? DEFAULT_HOST : text.slice(0, at), port: text.slice(at + 1) };
}
