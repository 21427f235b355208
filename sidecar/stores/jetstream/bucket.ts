// A bucket of NATS' key-value store, spoken to by JetStream's own messages: the last entry of a name, and writes that the
// server makes only where a condition holds (ADR-8 and ADR-31 of NATS). Knows no key of Dapr's.
import { headers, type Msg, type MsgHdrs } from "@nats-io/transport-node";
import { StoreError } from "../store.ts";
import { apiError, strangeError } from "./failures.ts";
import type { Link } from "./link.ts";

/** What is under a name. */
export interface Entry {
  /** Counts up over the whole bucket. */
  readonly revision: number;
  /** Null for a mark that says that the value was deleted. */
  readonly bytes: Uint8Array | null;
}

/** What an entry is told to be. */
export interface Put {
  readonly name: string;
  /** Null: a mark in place of a value. */
  readonly bytes: Uint8Array | null;
  /** The revision that the name must have; 0: none at all. Null for any. */
  readonly expected: number | null;
}

/** The bucket as its stream is set up. */
export interface BucketInfo {
  readonly isDirect: boolean;
  readonly isMirror: boolean;
  readonly replicas: number;
  /** Bytes; null where only the server's own limit holds. */
  readonly valueBytesMax: number | null;
  /** Milliseconds; null where values stay. */
  readonly maxAgeMs: number | null;
}

/** There is a value where none was wanted, or another one. */
export class WrongRevision extends StoreError {
  constructor() {
    super("etag-mismatch", "the value has another etag than the one passed");
  }
}

const OPERATION = "KV-Operation";
const MARKER_REASON = "Nats-Marker-Reason";
const EXPECTED = "Nats-Expected-Last-Subject-Sequence";
const SEQUENCE = "Nats-Sequence";

const NOT_FOUND = 404;
const NO_MESSAGE = 10_037;
const NO_STREAM = 10_059;
/** The second one without the number in its words, from server 2.11 on. */
const WRONG_REVISION: ReadonlySet<number> = new Set([10_071, 10_164]);
const NS_PER_MS = 1_000_000;

export class Bucket {
  readonly #link: Link;
  readonly #name: string;
  /** Any replica may be asked. */
  #isDirect = false;

  constructor(link: Link, name: string) {
    this.#link = link;
    this.#name = name;
  }

  /** Rejects with `unavailable` where there is no such bucket. */
  async open(signal: AbortSignal): Promise<BucketInfo> {
    const answer = await this.#ask("STREAM.INFO", "", signal);
    if (answer.errCode === NO_STREAM)
      throw new StoreError(
        "unavailable",
        `there is no bucket "${this.#name}" at ${this.#link.server}; make it with: nats kv add ${this.#name}`,
      );
    const config = memberOf(this.#mustBeDone(answer), "config") ?? {};
    this.#isDirect = memberOf(config, "allow_direct") === true;
    const size = Number(memberOf(config, "max_msg_size") ?? -1);
    const ageNs = Number(memberOf(config, "max_age") ?? 0);
    return {
      isDirect: this.#isDirect,
      isMirror: memberOf(config, "mirror") !== undefined,
      replicas: Number(memberOf(config, "num_replicas") ?? 1),
      valueBytesMax: size > 0 ? size : null,
      maxAgeMs: ageNs > 0 ? ageNs / NS_PER_MS : null,
    };
  }

  /** The last entry of a name, or null; `fromLeader`: as it is behind each write that was answered before. */
  get(name: string, fromLeader: boolean, signal: AbortSignal): Promise<Entry | null> {
    const query = JSON.stringify({ last_by_subj: this.#subject(name) });
    return fromLeader || !this.#isDirect ? this.#getFromLeader(query, signal) : this.#getFromAny(query, signal);
  }

  /** Rejects with {@link WrongRevision} when the condition does not hold. */
  async put({ name, bytes, expected }: Put, signal: AbortSignal): Promise<void> {
    let head: MsgHdrs | null = null;
    if (bytes === null || expected !== null) head = headers();
    if (bytes === null) head?.set(OPERATION, "DEL");
    if (expected !== null) head?.set(EXPECTED, String(expected));
    const request = { subject: this.#subject(name), payload: bytes ?? "", headers: head, isWrite: true };
    const answer = parse(await this.#link.request(request, signal));
    if (answer === null) throw strangeError({ server: this.#link.server, isWrite: true });
    if (answer.errCode !== null && WRONG_REVISION.has(answer.errCode)) throw new WrongRevision();
    this.#mustBeDone(answer);
    if (typeof memberOf(answer.body, "seq") !== "number")
      throw strangeError({ server: this.#link.server, isWrite: true });
  }

  async #getFromAny(query: string, signal: AbortSignal): Promise<Entry | null> {
    const request = { subject: this.#api("DIRECT.GET"), payload: query, headers: null, isWrite: false };
    const { headers: head, data } = await this.#link.request(request, signal);
    if (head?.code === NOT_FOUND) return null;
    const revision = Number(head?.get(SEQUENCE) ?? Number.NaN);
    if (head === undefined || !Number.isSafeInteger(revision))
      throw strangeError({ server: this.#link.server, isWrite: false });
    const isMark = head.has(OPERATION) || head.has(MARKER_REASON);
    return { revision, bytes: isMark ? null : data };
  }

  async #getFromLeader(query: string, signal: AbortSignal): Promise<Entry | null> {
    const answer = await this.#ask("STREAM.MSG.GET", query, signal);
    if (answer.errCode === NO_MESSAGE) return null;
    const message = memberOf(this.#mustBeDone(answer), "message") ?? {};
    const revision = memberOf(message, "seq");
    if (typeof revision !== "number") throw strangeError({ server: this.#link.server, isWrite: false });
    const head = Buffer.from(textOf(message, "hdrs"), "base64").toString("latin1");
    const isMark = head.includes(`\r\n${OPERATION}:`) || head.includes(`\r\n${MARKER_REASON}:`);
    return { revision, bytes: isMark ? null : Buffer.from(textOf(message, "data"), "base64") };
  }

  async #ask(method: string, payload: string, signal: AbortSignal): Promise<Answer> {
    const request = { subject: this.#api(method), payload, headers: null, isWrite: false };
    const answer = parse(await this.#link.request(request, signal));
    if (answer === null) throw strangeError({ server: this.#link.server, isWrite: false });
    return answer;
  }

  #mustBeDone({ errCode, body }: Answer): object {
    if (errCode !== null) throw apiError(errCode, this.#link.server);
    return body;
  }

  #subject(name: string): string {
    return `$KV.${this.#name}.${name}`;
  }

  #api(method: string): string {
    return `$JS.API.${method}.KV_${this.#name}`;
  }
}

interface Answer {
  /** Null when it was done. */
  readonly errCode: number | null;
  readonly body: object;
}

/** Null for what is no answer of JetStream's. */
function parse(message: Msg): Answer | null {
  let body: unknown;
  try {
    body = JSON.parse(message.string());
  } catch {
    // The parser's words would show what came in.
    return null;
  }
  if (typeof body !== "object" || body === null) return null;
  const error = memberOf(body, "error");
  if (error === undefined) return { errCode: null, body };
  return { errCode: Number(memberOf(error, "err_code") ?? memberOf(error, "code") ?? 0), body };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function textOf(value: unknown, name: string): string {
  const member = memberOf(value, name);
  return typeof member === "string" ? member : "";
}
