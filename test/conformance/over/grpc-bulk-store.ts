// The same over gRPC with Pannier's bulk writes: each value is written and deleted by a call that tells the result of each
// item.
import { BulkDeleteRequest, BulkSaveRequest, BulkWriteResponse } from "#proto/gen/pannier/v1/state.ts";
import { Code, type CodeName } from "#sidecar/grpc/codes.ts";
import type { Call, Removal, Write } from "#sidecar/stores/store.ts";
import { toApiKey } from "./api-keys.ts";
import { removalItem, writeItem } from "./grpc-messages.ts";
import { faultOf, GrpcStore, own } from "./grpc-store.ts";
import { toStoreError } from "./refusal.ts";

const BULK_SAVE = own("BulkSave", BulkSaveRequest, BulkWriteResponse);
const BULK_DELETE = own("BulkDelete", BulkDeleteRequest, BulkWriteResponse);

export class GrpcBulkStore extends GrpcStore {
  override async set(write: Write, call: Call): Promise<void> {
    const request = { storeName: this.storeName, items: [writeItem(write)] };
    expectDone(await this.ask(BULK_SAVE, request, "ERR_STATE_SAVE", call), write.key, "ERR_STATE_SAVE");
  }

  override async remove(removal: Removal, call: Call): Promise<void> {
    const request = { storeName: this.storeName, items: [removalItem(removal)] };
    expectDone(await this.ask(BULK_DELETE, request, "ERR_STATE_DELETE", call), removal.key, "ERR_STATE_DELETE");
  }
}

/** The one result is there and tells no error. */
function expectDone({ results }: BulkWriteResponse, key: string, errorCode: string): void {
  const [result] = results;
  if (results.length !== 1 || result?.key !== toApiKey(key)) throw new Error(`results for ${key}: ${results.length}`);
  if (result.error === undefined) return;
  const { code, ...rest } = result.error;
  throw toStoreError({ ...rest, fault: faultOf(nameOf(code)) }, errorCode);
}

function nameOf(code: number): CodeName {
  const found = (Object.keys(Code) as CodeName[]).find((name) => Code[name] === code);
  if (found === undefined) throw new Error(`code ${code} is none of google.rpc.Code`);
  return found;
}
