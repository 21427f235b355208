// BulkSave and BulkDelete of pannier.v1.State: a result for each item. What was written is always told: an answer that
// would be too large is refused before the first write, or told in fewer words.
import type { StateItem } from "#proto/gen/dapr/proto/common/v1/common.ts";
import type {
  BulkDeleteRequest,
  BulkSaveRequest,
  BulkWriteResponse,
  WriteResult,
} from "#proto/gen/pannier/v1/state.ts";
import { deleteEach, type ItemOutcome, saveEach } from "../state/bulk-write.ts";
import { invalid, StateError } from "../state/errors.ts";
import type { SaveRequest } from "../state/requests.ts";
import type { StateService } from "../state/service.ts";
import type { StoreEntry } from "../state/table.ts";
import { Code } from "./codes.ts";
import { CallError, codeOf, tagOf } from "./errors.ts";
import type { GrpcCall } from "./method.ts";
import { toDelete, toSave } from "./requests.ts";

export interface BulkWritesOptions {
  readonly service: StateService;
  /** Largest message each way; 0 for no limit. */
  readonly bodyBytesMax: number;
}

/** What a result takes of an answer besides its key and message, in bytes, at most. */
const RESULT_BYTES = 64;
/** Lengths that messages are cut to, one after the other, until the answer fits. */
const MESSAGE_LENGTHS = [200, 60, 0];

/** An item whose value says it is JSON and is none has its own error, as a refused one has. */
export async function bulkSave(
  { service, bodyBytesMax }: BulkWritesOptions,
  { storeName, items }: BulkSaveRequest,
  call: GrpcCall,
): Promise<BulkWriteResponse> {
  const entry = service.find(storeName);
  check(items, bodyBytesMax, () => invalid("save-failed", EMPTY_KEY, entry.name));
  const requests = items.map((item) => toSaveOrError(entry, item));
  const written = await saveEach(service, entry.name, requests.filter(isSave), call);
  let next = 0;
  const outcomes = requests.flatMap((each, i): ItemOutcome[] => {
    if (each instanceof StateError) return [{ key: items[i]?.key ?? "", error: each, mayHaveHappened: false }];
    return written.slice(next, ++next);
  });
  return toResponse(outcomes, bodyBytesMax);
}

export async function bulkDelete(
  { service, bodyBytesMax }: BulkWritesOptions,
  { storeName, items }: BulkDeleteRequest,
  call: GrpcCall,
): Promise<BulkWriteResponse> {
  const { name } = service.find(storeName);
  check(items, bodyBytesMax, () => invalid("delete-failed", EMPTY_KEY, name));
  return toResponse(await deleteEach(service, name, items.map(toDelete), call), bodyBytesMax);
}

const EMPTY_KEY = "state key cannot be empty";

/** Throws, before anything is written, for an item without a key, and when the shortest answer can be too large. */
function check(items: readonly StateItem[], bytesMax: number, emptyKey: () => Error): void {
  let bytes = 0;
  for (const { key } of items) {
    if (key === "") throw emptyKey();
    bytes += RESULT_BYTES + Buffer.byteLength(key);
  }
  if (bytesMax === 0 || bytes <= bytesMax) return;
  const text = `the results of ${items.length} items can have ${bytes} bytes, an answer has at most ${bytesMax} (--max-body-size); nothing was written: send fewer items at a time`;
  throw new CallError("ResourceExhausted", text);
}

function toSaveOrError(entry: StoreEntry, item: StateItem): SaveRequest | StateError {
  try {
    return toSave(entry, item);
  } catch (error) {
    if (error instanceof StateError) return error;
    throw error;
  }
}

function isSave(each: SaveRequest | StateError): each is SaveRequest {
  return !(each instanceof StateError);
}

function toResponse(outcomes: readonly ItemOutcome[], bytesMax: number): BulkWriteResponse {
  let results = outcomes.map(toResult);
  for (const length of MESSAGE_LENGTHS) {
    if (bytesMax === 0 || bytesOf(results) <= bytesMax) break;
    results = results.map((result) => shortened(result, length));
  }
  return { results };
}

function toResult({ key, error, mayHaveHappened }: ItemOutcome): WriteResult {
  if (error === null) return { key, error: undefined };
  const { message } = error;
  return { key, error: { code: Code[codeOf(error)], errorCode: tagOf(error), message, mayHaveHappened } };
}

/** At most what the results take of an answer. */
function bytesOf(results: readonly WriteResult[]): number {
  return results.reduce((sum, { key, error }) => sum + resultBytes(key, error?.message ?? ""), 0);
}

function resultBytes(key: string, message: string): number {
  return RESULT_BYTES + Buffer.byteLength(key) + Buffer.byteLength(message);
}

function shortened({ key, error }: WriteResult, length: number): WriteResult {
  if (error === undefined || error.message.length <= length) return { key, error };
  const message = length === 0 ? "" : `${error.message.slice(0, length).toWellFormed()}…`;
  return { key, error: { ...error, message } };
}
