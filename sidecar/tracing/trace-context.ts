// The contexts that a request brings along, in the W3C's words: `traceparent` and `tracestate`
// (https://www.w3.org/TR/trace-context/), `baggage` (https://www.w3.org/TR/baggage/). Text only.

/** Where in a trace a request stands. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits. */
  readonly spanId: string;
  /** The flags byte; 1 is "sampled". */
  readonly flags: number;
  /** "" when there is none. */
  readonly state: string;
}

const STATE_CHARACTERS_MAX = 512;
/** version-traceid-parentid-flags, all lower-case hex; version ff is invalid, zeros are no ids. */
const PARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The context of a valid `traceparent`, else null. A `tracestate` that is too long is left out. */
export function parseTraceparent(parent: string, state: string): TraceContext | null {
  const [, traceId, spanId, flags] = PARENT.exec(parent) ?? [];
  if (traceId === undefined || spanId === undefined) return null;
  return {
    traceId,
    spanId,
    flags: Number.parseInt(flags ?? "0", 16),
    state: state.length <= STATE_CHARACTERS_MAX ? state : "",
  };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, "0")}`;
}

const BAGGAGE_BYTES_MAX = 8192;
const BAGGAGE_MEMBERS_MAX = 64;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Printable ASCII without blank, quote, comma, semicolon and backslash. */
const BAGGAGE_VALUE = /^[!#-+\--:<-[\]-~]*$/;

/** What is wrong with a `baggage` header, or null. No value is told. */
export function baggageFault(header: string): string | null {
  if (header.length > BAGGAGE_BYTES_MAX) return `got ${header.length} bytes, want at most ${BAGGAGE_BYTES_MAX}`;
  const members = header.split(",");
  if (members.length > BAGGAGE_MEMBERS_MAX) return `got ${members.length} members, want at most ${BAGGAGE_MEMBERS_MAX}`;
  const broken = members.findIndex((member) => !isMember(member));
  return broken < 0 ? null : `member ${broken + 1} is not of the form key=value;property`;
}

function isMember(member: string): boolean {
  const [pair = "", ...properties] = member.split(";");
  return isPair(pair) && properties.every((property) => TOKEN.test(property.trim()) || isPair(property));
}

function isPair(text: string): boolean {
  const equals = text.indexOf("=");
  return equals > 0 && TOKEN.test(text.slice(0, equals).trim()) && BAGGAGE_VALUE.test(text.slice(equals + 1).trim());
}
