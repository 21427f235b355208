// The same over HTTP with Pannier's bulk writes: each value is written and deleted by a request that tells the result of
// each item.
import type { Call, Removal, Write } from "#sidecar/stores/store.ts";
import { toApiKey } from "./api-keys.ts";
import { listOf, removalItem, writeItem } from "./http-body.ts";
import { faultOf, HttpStore } from "./http-store.ts";
import { toStoreError } from "./refusal.ts";

interface ItemResult {
  readonly key: string;
  readonly status: number;
  readonly error?: { readonly errorCode: string; readonly message: string; readonly mayHaveHappened?: boolean };
}

export class HttpBulkStore extends HttpStore {
  protected override save(write: Write, call: Call): Promise<void> {
    return this.#write("bulk-save", writeItem(write), { key: write.key, errorCode: "ERR_STATE_SAVE" }, call);
  }

  override remove(removal: Removal, call: Call): Promise<void> {
    const { key } = removal;
    return this.#write("bulk-delete", removalItem(removal), { key, errorCode: "ERR_STATE_DELETE" }, call);
  }

  async #write(
    route: string,
    item: Buffer,
    { key, errorCode }: { readonly key: string; readonly errorCode: string },
    call: Call,
  ): Promise<void> {
    const { body } = await this.post(route, listOf([item]), errorCode, call);
    const results = JSON.parse(body.toString()) as readonly ItemResult[];
    const [result] = results;
    if (results.length !== 1 || result?.key !== toApiKey(key)) throw new Error(`results for ${key}: ${body}`);
    const { status, error } = result;
    if ((error === undefined) !== (status === 204)) throw new Error(`status ${status} with ${JSON.stringify(error)}`);
    if (error === undefined) return;
    const { mayHaveHappened = false, ...rest } = error;
    throw toStoreError({ ...rest, fault: faultOf(status), mayHaveHappened }, errorCode);
  }
}
