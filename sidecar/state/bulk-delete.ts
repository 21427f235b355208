// Deleting several keys in one request that has one answer, as Dapr's gRPC API has it. The one with an answer for each
// item is in bulk-write.ts.
import { joined } from "./outcomes.ts";
import { type DeleteRequest, toRemoval } from "./requests.ts";
import { type Caller, failure, type StateService, wrapChecks } from "./service.ts";

/**
 * Deletes keys; not atomic: those that fail are told, the others are gone. All are checked before the first is deleted.
 * Throws bulk-delete-failed, and illegal-key.
 */
export async function bulkDelete(
  service: StateService,
  storeName: string,
  requests: readonly DeleteRequest[],
  caller: Caller,
): Promise<void> {
  const entry = service.find(storeName);
  const text = `failed deleting state in state store ${entry.name}`;
  const items = requests.map((request) => ({
    key: request.key,
    retry: request.retry,
    removal: wrapChecks(() => toRemoval(entry, request, "bulk-delete-failed"), text),
  }));
  const step = ({ removal, retry }: (typeof items)[number]): Promise<void> =>
    service.erase(entry, removal, retry, caller);
  const outcomes = await service.each(entry, { operation: "bulk_delete", items, step }, caller);
  if (outcomes.every(({ error }) => error === null)) return;
  throw failure("bulk-delete-failed", text, joined("bulk-delete-failed", outcomes), entry);
}
