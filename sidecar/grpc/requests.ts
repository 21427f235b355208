// From the messages of a state call to what the state service takes: option words, ETags, values. Decides no rule of
// the API but one: when the bytes of a value count as JSON.
import { isUtf8 } from "node:buffer";
import { isJsonText } from "#kit/json-scanner.ts";
import type {
  Etag,
  StateItem,
  StateOptions,
  StateOptions_StateConsistency,
} from "#proto/gen/dapr/proto/common/v1/common.ts";
import type { TransactionalStateOperation } from "#proto/gen/dapr/proto/runtime/v1/state.ts";
import { invalid } from "../state/errors.ts";
import type { DeleteRequest, OptionWords, SaveRequest, TransactionOperation } from "../state/requests.ts";
import type { StoreEntry } from "../state/table.ts";
import { expireTimeText, TTL_EXPIRE_TIME_NAME } from "../state/ttl.ts";
import type { Found, Metadata } from "../stores/store.ts";

/** By the numbers of the enums; others count as unset, as with Dapr. */
const CONCURRENCY_WORDS = ["", "first-write", "last-write"] as const;
const CONSISTENCY_WORDS = ["", "eventual", "strong"] as const;
const CONTENT_TYPE_NAME = "contentType";
const JSON_TYPE = "application/json";
const NO_WORDS: OptionWords = { concurrency: "", consistency: "" };
const NO_METADATA: Record<string, string> = Object.freeze({});

export function consistencyWord(consistency: StateOptions_StateConsistency): string {
  return CONSISTENCY_WORDS[consistency] ?? "";
}

/**
 * An item of SaveState. A value whose metadata says `contentType: application/json` has to be JSON and is kept byte for
 * byte; any other one is raw bytes (dapr-state-api.md 1.13). Throws save-failed.
 */
export function toSave(entry: StoreEntry, item: StateItem): SaveRequest {
  if (item.key === "") throw invalid("save-failed", "state key cannot be empty", entry.name);
  const saysJson = item.metadata[CONTENT_TYPE_NAME] === JSON_TYPE;
  if (saysJson && !isJson(item.value)) throw notJson(entry, item.key);
  // An encrypted store seals the bytes as they came, quotes included, as Dapr's does: only HTTP takes them off.
  return { ...toRaw(item), isJson: saysJson };
}

/** An operation of a transaction: raw bytes whatever they say, as with Dapr; its own metadata goes before the shared. */
export function toOperation(operation: TransactionalStateOperation, shared: Metadata): TransactionOperation {
  const { operationType, request } = operation;
  const raw = request === undefined ? NOTHING : toRaw(request);
  return { operation: operationType, request: { ...raw, metadata: { ...shared, ...raw.metadata } } };
}

/** What DeleteState and an item of DeleteBulkState have in common. */
export interface Deletion {
  readonly key: string;
  readonly etag: Etag | undefined;
  readonly options: StateOptions | undefined;
  readonly metadata: Record<string, string>;
}

export function toDelete({ key, etag, options, metadata }: Deletion): DeleteRequest {
  return { key, etag: etag?.value ?? "", options: words(options), metadata, retry: null };
}

/** The metadata of a value in an answer. */
export function foundMetadata({ expiresAtMs }: Found): Record<string, string> {
  return expiresAtMs === null ? NO_METADATA : { [TTL_EXPIRE_TIME_NAME]: expireTimeText(expiresAtMs) };
}

/**
 * What stands in place of a value that is alone in an answer and still too large for it; null when the answer fits.
 * Without it the pages of a walk would end there.
 */
export function tooLargeValue(value: Uint8Array, answerBytes: number, bytesMax: number): string | null {
  if (bytesMax === 0 || answerBytes <= bytesMax) return null;
  return `the value has ${value.length} bytes, more than an answer can carry: ${bytesMax} with all that is around it (--max-body-size)`;
}

function toRaw(item: StateItem): SaveRequest {
  return {
    key: item.key,
    bytes: item.value,
    isJson: false,
    etag: item.etag?.value ?? "",
    options: words(item.options),
    metadata: item.metadata,
    retry: null,
  };
}

const NOTHING: SaveRequest = Object.freeze({
  key: "",
  bytes: new Uint8Array(0),
  isJson: false,
  etag: "",
  options: NO_WORDS,
  metadata: NO_METADATA,
  retry: null,
});

function words(options: StateOptions | undefined): OptionWords {
  if (options === undefined) return NO_WORDS;
  return {
    concurrency: CONCURRENCY_WORDS[options.concurrency] ?? "",
    consistency: CONSISTENCY_WORDS[options.consistency] ?? "",
  };
}

function isJson(bytes: Uint8Array): boolean {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return isUtf8(view) && isJsonText(view);
}

function notJson(entry: StoreEntry, key: string): Error {
  const text = `failed saving state in state store ${entry.name}: key ${JSON.stringify(key)}: metadata ${CONTENT_TYPE_NAME} is ${JSON_TYPE}, but the value is not JSON`;
  return invalid("save-failed", text, entry.name);
}
