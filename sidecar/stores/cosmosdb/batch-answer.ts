// What the answer to a transactional batch says: each step has a status of its own, and all but the one that failed say
// only that they depend on it.
import { exists, mismatch, missing } from "./conditions.ts";
import { CosmosError, refusalError, strangeError } from "./failures.ts";
import type { HttpAnswer } from "./link.ts";
import type { Step } from "./transaction.ts";

/** `missed`: nothing was applied, because a delete without a condition found nothing. */
export type BatchOutcome = "applied" | "missed";

/** What JSON may have made of a step's answer. */
interface StepAnswer {
  readonly statusCode?: unknown;
  readonly subStatusCode?: unknown;
  readonly retryAfterMilliseconds?: unknown;
}

const FAILED_DEPENDENCY = 424;

/** Throws a StoreError for a batch that was not applied, or of which nobody knows. */
export function readBatchAnswer({ body }: HttpAnswer, steps: readonly Step[], server: string): BatchOutcome {
  const answers = parse(body);
  if (answers === null || answers.length !== steps.length) throw strangeError(server, true);
  for (const [index, step] of steps.entries()) {
    const answer = answers[index] ?? {};
    const status = numberOf(answer.statusCode) ?? 0;
    if (status >= 200 && status < 400) continue;
    if (status === FAILED_DEPENDENCY) continue;
    return outcomeOf(step, status, answer, server);
  }
  const applied = answers.every(({ statusCode }) => statusCode !== FAILED_DEPENDENCY);
  if (!applied) throw new CosmosError("failed", `Cosmos DB at ${server} applied nothing of the transaction`);
  return "applied";
}

function outcomeOf({ plan }: Step, status: number, answer: StepAnswer, server: string): BatchOutcome {
  const { last, etag, absent, place } = plan;
  if (status === 404 && etag !== null) throw missing(place);
  if (status === 404 && last.kind === "delete" && !absent) return "missed";
  if (status === 412 && etag !== null) throw mismatch(place);
  if (status === 409 && absent) throw exists(place);
  if (status < 100) throw strangeError(server, true);
  const substatus = numberOf(answer.subStatusCode) ?? 0;
  const retryAfterMs = numberOf(answer.retryAfterMilliseconds);
  const { code, message, again } = refusalError({ status, substatus, retryAfterMs, server, isWrite: true });
  throw new CosmosError(code, `${place}${message}`, again);
}

function parse(body: Buffer): readonly StepAnswer[] | null {
  try {
    const answers: unknown = JSON.parse(body.toString());
    return Array.isArray(answers) ? answers : null;
  } catch {
    // Whatever it is, it is no answer to a batch; what the parser says would show a part of it.
    return null;
  }
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
