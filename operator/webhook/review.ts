// The envelope of admission (admission.k8s.io/v1): reads a review, has it decided, writes the answer. Knows no pod rules
// and no HTTP.

/** An operation of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** What the API server asks; what the webhook does not go by is left out. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: GroupVersionKind;
  /** "CREATE", "UPDATE" … */
  readonly operation: string;
  /** The object's own metadata may lack it. "" for what is not namespaced. */
  readonly namespace: string;
  /** "" when the server makes one of generateName. */
  readonly name: string;
  readonly userName: string;
  readonly dryRun: boolean;
  /** The object as it would be stored, or null. */
  readonly object: unknown;
}

/** `reason`: of a closed list; it becomes a metric's label. `warnings`: sentences for whoever sent the object. */
export type Admission =
  | {
      readonly kind: "allow";
      /** Null or empty: the object stays as it is. */
      readonly patch: readonly PatchOperation[] | null;
      readonly reason: string;
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: "deny";
      readonly message: string;
      /** An HTTP status: 400, 403, 422 … */
      readonly code: number;
      readonly reason: string;
      readonly warnings: readonly string[];
    };

/** Decides at once, without waiting for anything. */
export type Admit = (request: AdmissionRequest) => Admission;

export const REVIEW_VERSION = "admission.k8s.io/v1";
const REVIEW_KIND = "AdmissionReview";
/** The API server cuts longer warnings, and leaves out what is beyond this in all; in characters. */
export const WARNING_MAX = 256;
export const WARNINGS_MAX = 4096;
/** Longest text of a denial, in characters. */
const MESSAGE_MAX = 4096;

/** How Kubernetes names these statuses; kubectl shows it. */
const STATUS_REASONS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  403: "Forbidden",
  409: "Conflict",
  422: "Invalid",
  500: "InternalError",
};

/** What can be answered as the body, and what is to be counted. */
export interface Reviewed {
  readonly answer: Readonly<Record<string, unknown>>;
  readonly outcome: "injected" | "skipped" | "denied" | "failed";
  readonly reason: string;
  /** What `admit` threw, or null. */
  readonly thrown: unknown;
}

/** Gives the request of a review, or a sentence about what is wrong with it. */
export function readReview(body: Buffer): AdmissionRequest | string {
  if (body.length === 0) return `the body is empty: want an ${REVIEW_KIND} of ${REVIEW_VERSION} in JSON`;
  const review = parseJson(body);
  if (!isMapping(review)) return `the body is no JSON object: want an ${REVIEW_KIND} of ${REVIEW_VERSION}`;
  if (review.kind !== REVIEW_KIND) return `kind: got ${shown(review.kind)}, want "${REVIEW_KIND}"`;
  if (review.apiVersion !== REVIEW_VERSION) {
    return `apiVersion: got ${shown(review.apiVersion)}, want "${REVIEW_VERSION}"; list v1 alone in admissionReviewVersions`;
  }
  const { request } = review;
  if (!isMapping(request)) return `request: got ${shown(request)}, want an object`;
  if (typeof request.uid !== "string" || request.uid === "") return `request.uid: got ${shown(request.uid)}, want text`;
  const { kind } = request;
  if (!isMapping(kind)) return `request.kind: got ${shown(kind)}, want group, version and kind`;
  return {
    uid: request.uid,
    kind: { group: textOf(kind.group), version: textOf(kind.version), kind: textOf(kind.kind) },
    operation: textOf(request.operation),
    namespace: textOf(request.namespace),
    name: textOf(request.name),
    userName: isMapping(request.userInfo) ? textOf(request.userInfo.username) : "",
    dryRun: request.dryRun === true,
    object: request.object ?? null,
  };
}

/** Has it decided. What `admit` throws is a denial: a pod that asked for a sidecar never starts without one. */
export function review(request: AdmissionRequest, admit: Admit): Reviewed {
  let admission: Admission;
  try {
    admission = admit(request);
  } catch (thrown) {
    const message = "Pannier's injector failed on this object by a fault of its own; its log says more";
    const denial = { kind: "deny", message, code: 500, reason: "internal", warnings: [] } as const;
    return { answer: answerOf(request, denial), outcome: "failed", reason: denial.reason, thrown };
  }
  const outcome = admission.kind === "deny" ? "denied" : hasPatch(admission) ? "injected" : "skipped";
  return { answer: answerOf(request, admission), outcome, reason: admission.reason, thrown: null };
}

function answerOf({ uid }: AdmissionRequest, admission: Admission): Readonly<Record<string, unknown>> {
  const warnings = fitWarnings(admission.warnings);
  const response = {
    uid,
    allowed: admission.kind === "allow",
    ...(warnings.length === 0 ? {} : { warnings }),
    ...(admission.kind === "allow" ? patchPart(admission) : { status: statusOf(admission) }),
  };
  return { apiVersion: REVIEW_VERSION, kind: REVIEW_KIND, response };
}

function hasPatch(admission: Admission): boolean {
  return admission.kind === "allow" && admission.patch !== null && admission.patch.length > 0;
}

function patchPart(admission: Admission & { readonly kind: "allow" }): Readonly<Record<string, unknown>> {
  if (!hasPatch(admission)) return {};
  return { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(admission.patch)).toString("base64") };
}

function statusOf({ code, message }: Admission & { readonly kind: "deny" }): Readonly<Record<string, unknown>> {
  const reason = STATUS_REASONS[code];
  return {
    code,
    message: message.length > MESSAGE_MAX ? `${message.slice(0, MESSAGE_MAX - 1)}…` : message,
    ...(reason === undefined ? {} : { reason }),
  };
}

/**
 * As many as the API server passes on, none longer than it passes on: what it would cut is cut visibly here. It drops a
 * whole warning for one control character in it, without a word.
 */
function fitWarnings(warnings: readonly string[]): readonly string[] {
  const fitting: string[] = [];
  let left = WARNINGS_MAX;
  for (const warning of warnings) {
    const characters = [...warning.replace(/[\s\p{Cc}]+/gu, " ")];
    const text =
      characters.length > WARNING_MAX ? `${characters.slice(0, WARNING_MAX - 1).join("")}…` : characters.join("");
    left -= Math.min(characters.length, WARNING_MAX);
    if (left < 0) break;
    fitting.push(text);
  }
  return fitting;
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    // Told as "no JSON object" by whoever asked.
    return null;
  }
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** A word of the sender, short enough for a sentence. */
function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  return typeof value === "string"
    ? JSON.stringify(value.slice(0, 80))
    : `a JSON ${value === null ? "null" : typeof value}`;
}
