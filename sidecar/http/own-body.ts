// What requests to Pannier's own routes say: parameters and bodies. Nothing is guessed and nothing passed over here: a
// misspelled limit or a broken escape must not make a request mean more than its sender meant.
import { isUtf8 } from "node:buffer";
import type { DeleteByPrefixRequest } from "../state/delete-by-prefix.ts";
import { malformed } from "../state/errors.ts";
import type { DeleteRequest } from "../state/requests.ts";
import type { Exchange } from "./exchange.ts";
import { decodeSave } from "./state-body.ts";

/** A query parameter; "" when it is not there. Throws `malformed` for one that is there and cannot be unescaped. */
export function textParameter(exchange: Exchange, name: string): string {
  const text = exchange.query.get(name);
  if (text !== undefined) return text;
  const url = exchange.request.url ?? "";
  const pairs = url.slice(url.indexOf("?") + 1).split("&");
  if (!url.includes("?") || !pairs.some((pair) => pair.startsWith(`${name}=`))) return "";
  throw malformed(`${name}: got what cannot be unescaped, want percent escapes of UTF-8, and %3B for a semicolon`);
}

/** A query parameter that is a number; null when it is not there. */
export function numberParameter(exchange: Exchange, name: string): number | null {
  const text = textParameter(exchange, name);
  if (text === "") return null;
  if (/^-?\d{1,15}$/.test(text)) return Number(text);
  throw malformed(`${name}: got ${shown(text)}, want a whole number`);
}

/** A query parameter that is "true" or "false"; false when it is not there. */
export function flagParameter(exchange: Exchange, name: string): boolean {
  const text = textParameter(exchange, name);
  if (text === "true") return true;
  if (text === "false" || text === "") return false;
  throw malformed(`${name}: got ${shown(text)}, want true or false`);
}

/** The body of a delete by prefix: an object of `prefix`, `all` and `limit` and nothing else. */
export function decodeDeleteByPrefix(body: Buffer): DeleteByPrefixRequest {
  const members = parseObject(body);
  const read = { prefix: "", all: false, limit: null as number | null };
  for (const [name, value] of Object.entries(members)) {
    if (name === "prefix" && typeof value === "string" && value.isWellFormed()) read.prefix = value;
    else if (name === "all" && typeof value === "boolean") read.all = value;
    else if (name === "limit" && typeof value === "number") read.limit = value;
    else
      throw malformed(`${shown(name)}: ${WANTED[name] ?? "no member of this body, which has prefix, all and limit"}`);
  }
  return read;
}

const WANTED: Readonly<Record<string, string>> = {
  prefix: "want a string",
  all: "want true or false",
  limit: "want a whole number",
};

function parseObject(body: Buffer): object {
  if (!isUtf8(body)) throw malformed("the body is not valid UTF-8");
  const value = parseJson(body.toString("utf8"));
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw malformed('the body: want an object, as {"prefix":"order-"}');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own words quote the body.
    throw malformed("the body is not JSON");
  }
}

/** The items of a bulk delete, in the form of those of a save; a value among their members means nothing. */
export function decodeBulkDelete(body: Buffer): readonly DeleteRequest[] {
  return decodeSave(body).map(({ key, etag, options, metadata, retry }) => ({ key, etag, options, metadata, retry }));
}

const SHOWN_MAX = 40;

function shown(text: string): string {
  return JSON.stringify(text.slice(0, SHOWN_MAX));
}
