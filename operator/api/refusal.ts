// Why a request gets nothing: a status, and a sentence for whoever reads the sidecar's log. Knows no request.

export interface Refusal {
  readonly status: 401 | 403 | 404 | 405 | 409 | 413 | 415 | 400 | 421 | 429 | 500 | 503;
  /** What was wrong and what to do; never a token, never anything of another app. */
  readonly sentence: string;
  /** When it is worth to ask again, in seconds; null when nothing but a change will help. */
  readonly retryAfterSec: number | null;
}

export function refuse(status: Refusal["status"], sentence: string, retryAfterSec: number | null = null): Refusal {
  return { status, sentence, retryAfterSec };
}

/** Tells a refusal from what was asked for. */
export function isRefusal(value: object): value is Refusal {
  return "sentence" in value;
}

/** A refusal on its way to whoever answers. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.sentence);
    this.refusal = refusal;
  }
}
