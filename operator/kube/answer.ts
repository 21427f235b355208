// What an API server's HTTP answer says: its body up to a limit, and the error that a status stands for.
// Parse errors never go further than this: they quote what they could not parse, and that may be a Secret.
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { ANSWER_TOO_LONG, KubeError } from "./client.ts";

/** Longest message of a KubeError, in characters. */
const MESSAGE_MAX = 1000;

/** Reads a whole body; rejects with a KubeError once it is longer than `bytesMax`. */
export async function readBody(answer: IncomingMessage, what: string, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) {
      answer.destroy();
      throw tooLong(`${what}: the answer is longer than ${bytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** Reads JSON; throws a KubeError that quotes nothing of it. */
export function parseAnswer<T>(body: Buffer, what: string): T {
  try {
    return JSON.parse(body.toString("utf8")) as T;
  } catch {
    throw unanswered(`${what}: the answer is not JSON (${body.length} bytes)`);
  }
}

/** The error for an exchange that came to no usable answer. */
export function unanswered(message: string, cause?: unknown): KubeError {
  return new KubeError(message, { status: 0, reason: null, retryAfterMs: null, cause });
}

/** The error for an answer of which too much came: smaller pages may help. */
export function tooLong(message: string): KubeError {
  return new KubeError(message, { status: 0, reason: ANSWER_TOO_LONG, retryAfterMs: null });
}

/** The error that an answer outside of 2xx stands for; its body may be a Status object or anything else. */
export function errorOf(
  what: string,
  answer: Pick<IncomingMessage, "statusCode" | "headers">,
  body: Buffer,
  nowMs: number,
): KubeError {
  const status = answer.statusCode ?? 0;
  const { reason, message } = statusOf(body);
  const text = [what, [status, reason].filter((part) => part !== null).join(" "), message]
    .filter((part) => part !== null)
    .join(": ");
  return new KubeError(text.slice(0, MESSAGE_MAX), {
    status,
    reason,
    retryAfterMs: retryAfterOf(answer.headers, nowMs),
  });
}

/** `reason` and `message` of a Status object, each null when there is none. */
function statusOf(body: Buffer): { readonly reason: string | null; readonly message: string | null } {
  try {
    const { kind, reason, message } = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
    if (kind !== "Status") return { reason: null, message: null };
    return {
      reason: typeof reason === "string" && reason !== "" ? reason : null,
      message: typeof message === "string" && message !== "" ? message : null,
    };
  } catch {
    // A proxy's page, or the null of JSON: the HTTP status alone has to do.
    return { reason: null, message: null };
  }
}

/** Seconds or a date (RFC 9110, 10.2.3), as milliseconds from now. */
function retryAfterOf(headers: IncomingHttpHeaders, nowMs: number): number | null {
  const text = headers["retry-after"];
  if (text === undefined) return null;
  const sec = Number(text);
  const ms = Number.isFinite(sec) ? sec * 1000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}
