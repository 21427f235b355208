// A request as a span, by Dapr's names (dapr-state-api.md 10.1). A value never becomes part of one, nor does the token.
import type { TraceContext } from "../tracing/trace-context.ts";
import type { RequestSpan, Tracer } from "../tracing/tracer.ts";
import type { HttpRequest } from "./message.ts";
import type { Match } from "./router.ts";
import type { Handler } from "./server.ts";
import { isTimed } from "./server-timing.ts";
import { parseTarget, unescapePart } from "./url.ts";

/** Headers that begin so are attributes, but for the token. */
const OWN_HEADERS = "dapr-";
const TOKEN_HEADER = "dapr-api-token";

export interface Traced {
  readonly request: HttpRequest;
  readonly match: Match<Handler> | null;
  readonly parent: TraceContext | null;
  /** False: the route's pattern stands where the key and the names of actors would be. */
  readonly withKeys: boolean;
}

export function startRequestSpan(tracer: Tracer, traced: Traced): RequestSpan {
  const { request, parent } = traced;
  const method = request.method ?? "";
  const name = nameOf(traced);
  const host = hostOf(request);
  const attributes: Record<string, string | number> = {
    "dapr.api": `${method} ${name}`,
    "dapr.protocol": "http",
    "http.request.method": method,
    ...(host === "" ? {} : { "url.full": `http://${host}${name.startsWith("/") ? name : "/"}`, ...addressOf(host) }),
    ...databaseOf(traced, `${method} ${name}`),
  };
  for (const [header, value] of Object.entries(request.headers)) {
    if (header.startsWith(OWN_HEADERS) && header !== TOKEN_HEADER) attributes[header] = String(value);
  }
  return tracer.start({ name, parent, attributes });
}

/** Dapr's word for what came of it, which is the HTTP status. */
export function endRequestSpan(span: RequestSpan, status: number): void {
  span.end({ "dapr.status_code": String(status) }, status >= 400);
}

/** The path without its query, which may hold metadata, and without an origin, which may hold a password. */
function nameOf({ request, match, withKeys }: Traced): string {
  if (withKeys) return `/${parseTarget(request.url ?? "/").parts.join("/")}`;
  if (match === null) return "unmatched";
  return match.route.pattern.replace("{storeName}", () => match.parameters[0] ?? "");
}

/** Host and port without what stands before an "@"; "" for what is no host. */
function hostOf({ headers }: HttpRequest): string {
  const authority = headers.host ?? String(headers[":authority"] ?? "");
  const host = authority.slice(authority.lastIndexOf("@") + 1);
  return NO_HOST.test(host) || !URL.canParse(`http://${host}/`) ? "" : host;
}

/** Where a path, a query or a fragment would begin. */
const NO_HOST = /[/\\?#]/;

function addressOf(host: string): Record<string, string | number> {
  const colon = host.lastIndexOf(":");
  const port = colon < 0 || host.endsWith("]") ? Number.NaN : Number(host.slice(colon + 1));
  if (!Number.isInteger(port)) return { "server.address": host };
  return { "server.address": host.slice(0, colon), "server.port": port };
}

function databaseOf({ match }: Traced, statement: string): Record<string, string> {
  if (match === null || !isTimed(match.route.api)) return {};
  const database = { "db.system": "state", "db.connection_string": "state", "db.statement": statement };
  if (!match.route.pattern.includes("{storeName}")) return database;
  const store = match.parameters[0] ?? "";
  return { ...database, "db.name": unescapePart(store) ?? store };
}
