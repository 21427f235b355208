// Where a service of Google's is: the service itself, another address of it, or an emulator. The forms that the field
// `endpoint` may take. Opens nothing.
import type { NeededPackage } from "../packages.ts";

export interface Endpoint {
  /** "spanner.googleapis.com:443", as it stands in errors and logs. */
  readonly address: string;
  /** False for an emulator: no TLS, and nobody signs in. */
  readonly isService: boolean;
}

const HTTPS_PORT = 443;
const PORT_MAX = 65_535;
const WANT =
  'the "host:port" of an emulator, or "https://host" or "https://host:port" for another address of the service';
const SHAPE = /^(https?:\/\/)?(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?\/?$/i;

/**
 * `text` is empty for the service under its own name, `host`. Without a scheme it is an emulator's, as SPANNER_EMULATOR_HOST
 * and its like have it. `{ want }` tells what was wanted of a text that is none.
 */
export function parseEndpoint(text: string, host: string): Endpoint | { readonly want: string } {
  if (text === "") return { address: `${host}:${HTTPS_PORT}`, isService: true };
  const [, scheme = "http://", name, digits] = SHAPE.exec(text) ?? [];
  const isService = scheme.toLowerCase() === "https://";
  if (name === undefined || (digits === undefined && !isService)) return { want: WANT };
  const port = digits === undefined ? HTTPS_PORT : Number(digits);
  if (port < 1 || port > PORT_MAX) return { want: WANT };
  return { address: `${name}:${port}`, isService };
}

/** What signing in needs: nothing at an emulator. */
export function signInPackages(text: string, host: string): readonly NeededPackage[] {
  const endpoint = parseEndpoint(text, host);
  return "isService" in endpoint && endpoint.isService ? [{ name: "google-auth-library", field: "endpoint" }] : [];
}
