// The series of error codes, dapr_error_code_total, for a Configuration that asks for them (dapr-state-api.md 9).
import { type Count, CountMetric } from "./series.ts";

/** Dapr's categories by the beginning of a code; what fits none is "common". */
const CATEGORIES: readonly (readonly [string, string])[] = [
  ["ERR_STATE_", "state"],
  ["ERR_NOT_SUPPORTED_STATE_OPERATION", "state"],
  ["ERR_ACTOR_", "actor"],
  ["ERR_DIRECT_INVOKE", "service-invocation"],
  ["ERR_HEALTH_", "health"],
  ["ERR_OUTBOUND_HEALTH_", "health"],
];

export class ErrorMetrics {
  readonly #appId: string;
  readonly #total = new CountMetric(
    "dapr_error_code_total",
    "Total number of times an error with a specific error code was encountered.",
  );
  readonly #known = new Map<string, Count>();

  constructor(appId: string) {
    this.#appId = appId;
  }

  /** Codes are a closed list, so that the series are too. */
  add(code: string, category: string = categoryOf(code)): void {
    const key = `${category} ${code}`;
    const count = this.#known.get(key) ?? this.#total.series({ app_id: this.#appId, category, error_code: code });
    this.#known.set(key, count);
    count.value++;
  }

  text(): string {
    return this.#total.text();
  }
}

function categoryOf(code: string): string {
  return CATEGORIES.find(([start]) => code.startsWith(start))?.[1] ?? "common";
}
