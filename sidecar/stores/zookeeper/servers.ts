// Where the servers of an ensemble are: the forms that `servers` may take (dapr-state-stores.md 17).
import { isIPv6 } from "node:net";

export interface Server {
  readonly host: string;
  readonly port: number;
  /** As it stands in errors and logs: "zk-0:2181", "[::1]:2181". */
  readonly name: string;
}

const DEFAULT_PORT = 2181;
const PORT_MAX = 65_535;
const SERVERS_MAX = 32;
const HOST_PORT = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i;

/** Reads a list with commas; `{ want }` tells what was wanted of a text that is none. */
export function parseServers(text: string): readonly Server[] | { readonly want: string } {
  const servers: Server[] = [];
  for (const part of text.split(",")) {
    const server = parseServer(part.trim());
    if ("want" in server) return server;
    servers.push(server);
  }
  if (servers.length > SERVERS_MAX) return { want: `at most ${SERVERS_MAX} servers` };
  return servers;
}

function parseServer(text: string): Server | { readonly want: string } {
  const [, host = "", port = String(DEFAULT_PORT)] = HOST_PORT.exec(text) ?? [];
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  if (host === "" || (bare !== host && !isIPv6(bare)))
    return { want: 'servers as in "zk-0:2181,zk-1:2181" or "[::1]:2181", without a path' };
  if (Number(port) < 1 || Number(port) > PORT_MAX) return { want: `a port from 1 to ${PORT_MAX} after the last colon` };
  return { host: bare, port: Number(port), name: `${host}:${port}` };
}
