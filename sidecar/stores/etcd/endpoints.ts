// Where the servers are: the forms that `endpoints` may take (dapr-state-stores.md 13a).
import { isIPv6 } from "node:net";

/** As gRPC names it, and as it stands in errors and logs: "etcd-0:2379", "[::1]:2379". */
export interface Endpoint {
  readonly address: string;
}

const DEFAULT_PORT = 2379;
const PORT_MAX = 65_535;
const ENDPOINTS_MAX = 32;
const SCHEME = /^(https?):\/\//i;
const HOST_PORT = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?\/?$/i;

/** Reads a list with commas; `{ want }` tells what was wanted of a text that is none. */
export function parseEndpoints(text: string, tls: boolean): readonly Endpoint[] | { readonly want: string } {
  const endpoints: Endpoint[] = [];
  for (const part of text.split(",")) {
    const endpoint = parseEndpoint(part.trim(), tls);
    if ("want" in endpoint) return endpoint;
    endpoints.push(endpoint);
  }
  if (endpoints.length > ENDPOINTS_MAX) return { want: `at most ${ENDPOINTS_MAX} endpoints` };
  return endpoints;
}

function parseEndpoint(text: string, tls: boolean): Endpoint | { readonly want: string } {
  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === "https" && !tls) return { want: 'tlsEnable: "true" beside an endpoint with https' };
  if (scheme === "http" && tls) return { want: "endpoints with https, or without a scheme, beside tlsEnable" };
  const [, host = "", port = String(DEFAULT_PORT)] = HOST_PORT.exec(text.replace(SCHEME, "")) ?? [];
  const inBrackets = host.startsWith("[");
  if (host === "" || (inBrackets && !isIPv6(host.slice(1, -1))))
    return { want: 'endpoints as in "etcd-0:2379,etcd-1:2379" or "[::1]:2379"' };
  if (Number(port) < 1 || Number(port) > PORT_MAX) return { want: `a port from 1 to ${PORT_MAX} after the last colon` };
  return { address: `${host}:${port}` };
}
