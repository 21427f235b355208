// Request bodies of the state routes. Member names match without regard to case, unknown ones are passed over, of
// duplicates the last counts, bytes after the first JSON value are ignored: as Dapr's decoder does (dapr-state-api.md
// 1.5). The bytes of a `value` are handed on exactly as they came.
import { isUtf8 } from "node:buffer";
import { JsonFault, JsonScanner } from "#kit/json-scanner.ts";
import type { ActorOperation } from "../state/actors.ts";
import { malformed } from "../state/errors.ts";
import type { OptionWords, SaveRequest } from "../state/requests.ts";
import type { RetryPolicy } from "../state/retry.ts";
import type { Metadata } from "../stores/store.ts";
import { RETRY_INTERVAL_MS_MAX, readRetryPolicy } from "./legacy.ts";

export interface BulkGetBody {
  readonly keys: readonly string[];
  readonly parallelism: number;
  readonly metadata: Metadata;
}

/** One entry of a transaction as it stands in the body: its operation word is not judged yet. */
export interface BodyOperation {
  readonly operation: string;
  readonly request: SaveRequest;
}

export interface TransactionBody {
  readonly operations: readonly BodyOperation[];
  readonly metadata: Metadata;
}

const NULL_VALUE = Buffer.from("null");
const NO_METADATA: Metadata = Object.freeze({});
const NO_OPTIONS: OptionWords & { retry: RetryPolicy | null } = Object.freeze({
  concurrency: "",
  consistency: "",
  retry: null,
});

/**
 * The items of a save: a JSON array, `null` for none, or one JSON string that holds an array (the first Python sample
 * sends that). Throws `malformed`.
 */
export function decodeSave(body: Buffer): readonly SaveRequest[] {
  return decode(body, "", (scanner) => {
    if (scanner.kind() !== "string") return readItems(scanner);
    return readItems(new JsonScanner(Buffer.from(scanner.string())));
  });
}

/** The body of a bulk get. Throws `malformed`. */
export function decodeBulkGet(body: Buffer): BulkGetBody {
  return decode(body, "failed deserializing HTTP body: ", (scanner) => {
    const read = { keys: [] as string[], parallelism: 0, metadata: NO_METADATA };
    readObject(scanner, "the body", (name) => {
      if (name === "keys") read.keys = readStrings(scanner, "keys");
      else if (name === "parallelism") read.parallelism = readWhole(scanner, "parallelism");
      else if (name === "metadata") read.metadata = readMetadata(scanner, read.metadata);
      else scanner.span();
    });
    return read;
  });
}

/** The body of a transaction. Throws `malformed`. */
export function decodeTransaction(body: Buffer): TransactionBody {
  return decode(body, "failed deserializing HTTP body: ", (scanner) => {
    const read = { operations: [] as BodyOperation[], metadata: NO_METADATA };
    readObject(scanner, "the body", (name) => {
      if (name === "operations") read.operations = readArray(scanner, "operations", () => readOperation(scanner));
      else if (name === "metadata") read.metadata = readMetadata(scanner, read.metadata);
      else scanner.span();
    });
    return read;
  });
}

/** The operations of an actor's transaction: a JSON array, `null` for none. Throws `malformed`. */
export function decodeActorTransaction(body: Buffer): readonly ActorOperation[] {
  return decode(body, "failed deserializing HTTP body: ", (scanner) =>
    readArray(scanner, "the body", () => readParts(scanner)),
  );
}

function decode<T>(body: Buffer, prefix: string, read: (scanner: JsonScanner) => T): T {
  if (!isUtf8(body)) throw malformed(`${prefix}the body is not valid UTF-8`);
  try {
    const scanner = new JsonScanner(body);
    if (scanner.atEnd()) throw new JsonFault("EOF");
    return read(scanner);
  } catch (error) {
    if (error instanceof JsonFault) throw malformed(prefix + error.message);
    throw error;
  }
}

function readItems(scanner: JsonScanner): readonly SaveRequest[] {
  const items = readArray(scanner, "the body", () => readItem(scanner));
  for (const [index, item] of items.entries()) {
    if (item.key === "") throw new JsonFault(`"key" is a required field${items.length > 1 ? ` (item ${index})` : ""}`);
  }
  return items;
}

/** What an item of a save and the request of a transaction's operation have in common. */
function readItem(scanner: JsonScanner): SaveRequest {
  let key = "";
  let bytes: Buffer = NULL_VALUE;
  let etag = "";
  let metadata = NO_METADATA;
  let options = NO_OPTIONS;
  readObject(scanner, "an item", (name) => {
    if (name === "key") key = readString(scanner, "key");
    else if (name === "value") bytes = scanner.span();
    else if (name === "etag") etag = readString(scanner, "etag");
    else if (name === "metadata") metadata = readMetadata(scanner, metadata);
    else if (name === "options") options = readOptions(scanner);
    else scanner.span();
  });
  const { concurrency, consistency, retry } = options;
  const shared = { key, bytes, etag, options: { concurrency, consistency }, metadata, retry };
  return { ...shared, isJson: true, asText: true };
}

function readOperation(scanner: JsonScanner): BodyOperation {
  const { operation, request } = readParts(scanner);
  return { operation, request: request ?? EMPTY_REQUEST };
}

function readParts(scanner: JsonScanner): { readonly operation: string; readonly request: SaveRequest | null } {
  let operation = "";
  let request: SaveRequest | null = null;
  readObject(scanner, "an operation", (name) => {
    if (name === "operation") operation = readString(scanner, "operation");
    else if (name === "request") request = readItem(scanner);
    else scanner.span();
  });
  return { operation, request };
}

const EMPTY_REQUEST: SaveRequest = Object.freeze({
  key: "",
  bytes: NULL_VALUE,
  isJson: true,
  etag: "",
  options: NO_OPTIONS,
  metadata: NO_METADATA,
  retry: null,
});

function readOptions(scanner: JsonScanner): OptionWords & { retry: RetryPolicy | null } {
  const read = { concurrency: "", consistency: "", retry: null as RetryPolicy | null };
  readObject(scanner, "options", (name) => {
    if (name === "concurrency") read.concurrency = readString(scanner, "options.concurrency");
    else if (name === "consistency") read.consistency = readString(scanner, "options.consistency");
    else if (name === "retrypolicy") read.retry = readRetry(scanner);
    else scanner.span();
  });
  return read;
}

const RETRY_NAMES = { interval: "options.retryPolicy.interval", pattern: "options.retryPolicy.pattern" };

function readRetry(scanner: JsonScanner): RetryPolicy | null {
  const read = { intervalMs: 0, pattern: "", threshold: 0 };
  readObject(scanner, "options.retryPolicy", (name) => {
    if (name === "interval") read.intervalMs = readWhole(scanner, RETRY_NAMES.interval, RETRY_INTERVAL_MS_MAX);
    else if (name === "pattern") read.pattern = readString(scanner, RETRY_NAMES.pattern);
    else if (name === "threshold") read.threshold = readWhole(scanner, "options.retryPolicy.threshold");
    else scanner.span();
  });
  return readRetryPolicy(read, RETRY_NAMES);
}

function readMetadata(scanner: JsonScanner, before: Metadata): Metadata {
  const read: Record<string, string> = { ...before };
  let named = "";
  const each = (name: string): void => {
    named = name;
    Object.defineProperty(read, named, {
      value: readString(scanner, `metadata.${name}`),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  };
  if (scanner.kind() === "null") scanner.span();
  else if (scanner.kind() !== "object") throw wrongKind("metadata", scanner, "an object of strings");
  else scanner.object(each);
  return read;
}

function readStrings(scanner: JsonScanner, what: string): string[] {
  return readArray(scanner, what, () => readString(scanner, `an entry of ${what}`));
}

/** `null` counts as the empty text, as in Go. */
function readString(scanner: JsonScanner, what: string): string {
  const kind = scanner.kind();
  if (kind === "string") return scanner.string();
  if (kind !== "null") throw wrongKind(what, scanner, "a string");
  scanner.span();
  return "";
}

function readWhole(scanner: JsonScanner, what: string, max = 2_147_483_647): number {
  const kind = scanner.kind();
  const text = kind === "number" ? scanner.number() : "0";
  if (kind === "null") scanner.span();
  else if (kind !== "number") throw wrongKind(what, scanner, "a whole number");
  const number = Number(text);
  if (!isWhole(text) || Math.abs(number) > max) {
    throw new JsonFault(`${what}: got ${text.slice(0, 40)}, want a whole number up to ${max}`);
  }
  return number;
}

/** As Go reads a number into an integer: without fraction and exponent, "1.0" is none. */
function isWhole(text: string): boolean {
  return Number.isSafeInteger(Number(text)) && !/[.eE]/.test(text);
}

function readArray<T>(scanner: JsonScanner, what: string, item: () => T): T[] {
  const items: T[] = [];
  const kind = scanner.kind();
  if (kind === "array") scanner.array(() => items.push(item()));
  else if (kind === "null") scanner.span();
  else throw wrongKind(what, scanner, "an array");
  return items;
}

/** Calls `member` with each name in lower case. `null` counts as an object without members. */
function readObject(scanner: JsonScanner, what: string, member: (name: string) => void): void {
  const kind = scanner.kind();
  if (kind === "object") scanner.object((name) => member(name.toLowerCase()));
  else if (kind === "null") scanner.span();
  else throw wrongKind(what, scanner, "an object");
}

function wrongKind(what: string, scanner: JsonScanner, want: string): JsonFault {
  const kind = scanner.kind();
  // A broken text is told as that: "fals" is no boolean yet.
  scanner.span();
  return new JsonFault(`${what}: got ${kind}, want ${want}`);
}
