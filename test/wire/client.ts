// The few calls that most wire tests make.
import assert from "node:assert/strict";
import type { Answer, WireSidecar } from "./sidecar.ts";

/** The routes of the store that most tests use. */
export const STORE = "/v1.0/state/statestore";

export interface ErrorBody {
  readonly errorCode: string;
  readonly message: string;
  readonly details?: readonly Record<string, unknown>[];
}

/** A request with a JSON body: text goes as it is, anything else through JSON.stringify. */
export function ask(
  wire: WireSidecar,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  if (body === undefined) return wire.ask(method, path, { headers });
  return wire.ask(method, path, { headers, body: typeof body === "string" ? body : JSON.stringify(body) });
}

/** Saves one value, given as its JSON text. */
export async function save(wire: WireSidecar, key: string, value: string, store: string = STORE): Promise<void> {
  const answer = await ask(wire, "POST", store, `[{"key":${JSON.stringify(key)},"value":${value}}]`);
  assert.equal(answer.status, 204, answer.text);
}

export function errorOf(answer: Answer): ErrorBody {
  assert.equal(answer.headers["content-type"], "application/json");
  return JSON.parse(answer.text);
}
