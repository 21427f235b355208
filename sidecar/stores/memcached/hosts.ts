// Where the servers are, and which of them has a key: the forms of `hosts`, and the choice of Dapr's client
// (dapr-state-stores.md 14).
import { isIPv6 } from "node:net";
import { crc32 } from "node:zlib";

export interface Host {
  readonly host: string;
  readonly port: number;
  /** As it stands in errors and logs: "cache-0:11211", "[::1]:11211". */
  readonly name: string;
}

const DEFAULT_PORT = 11_211;
const PORT_MAX = 65_535;
const HOSTS_MAX = 64;
const HOST_PORT = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;

/** Reads a list with commas; `{ want }` tells what was wanted of a text that is none. */
export function parseHosts(text: string): readonly Host[] | { readonly want: string } {
  const hosts: Host[] = [];
  for (const part of text.split(",")) {
    const [, host = "", digits = String(DEFAULT_PORT)] = HOST_PORT.exec(part.trim()) ?? [];
    const bare = host.startsWith("[") ? host.slice(1, -1) : host;
    if (host === "" || (bare !== host && !isIPv6(bare)))
      return { want: 'hosts as in "cache-0:11211,cache-1:11211" or "[::1]:11211"' };
    const port = Number(digits);
    if (port < 1 || port > PORT_MAX) return { want: `a port from 1 to ${PORT_MAX} after the last colon` };
    hosts.push({ host: bare, port, name: `${host}:${port}` });
  }
  return hosts.length > HOSTS_MAX ? { want: `at most ${HOSTS_MAX} hosts` } : hosts;
}

/** Bytes of a key that decide about its server. */
const HASHED_BYTES = 256;

/** The place of a key's server among so many, in the order of the manifest. */
export function placeOf(key: Buffer, servers: number): number {
  return servers === 1 ? 0 : crc32(key.subarray(0, HASHED_BYTES)) % servers;
}
