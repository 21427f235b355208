// Where the nodes are: the forms that `hosts` may take (dapr-state-stores.md 11a).
import { isIPv6 } from "node:net";

export interface Host {
  /** A name or an address, without brackets. */
  readonly host: string;
  /** As the client takes it, and as it stands in errors and logs: "cassandra-0:9042", "[::1]:9042". */
  readonly name: string;
}

export const PORT_MAX = 65_535;
const HOSTS_MAX = 64;
const HOST_PORT = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;

/** Reads a list with commas; `{ want }` tells what was wanted of a text that is none. */
export function parseHosts(text: string, port: number): readonly Host[] | { readonly want: string } {
  const hosts: Host[] = [];
  for (const part of text.split(",")) {
    const [, host = "", digits = String(port)] = HOST_PORT.exec(part.trim()) ?? [];
    const bare = host.startsWith("[") ? host.slice(1, -1) : host;
    if (host === "" || (bare !== host && !isIPv6(bare)))
      return { want: 'hosts as in "cassandra-0,cassandra-1:9042" or "[::1]"' };
    const own = Number(digits);
    if (own < 1 || own > PORT_MAX) return { want: `a port from 1 to ${PORT_MAX} after the last colon` };
    hosts.push({ host: bare, name: `${host}:${own}` });
  }
  return hosts.length > HOSTS_MAX ? { want: `at most ${HOSTS_MAX} hosts` } : hosts;
}
