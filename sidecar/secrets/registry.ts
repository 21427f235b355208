// The secret stores there are, by Component type.
import { kubernetes } from "./brought.ts";
import { localEnv } from "./local-env.ts";
import { localFile } from "./local-file.ts";
import type { SecretStoreType } from "./store.ts";

export const SECRET_STORES: readonly SecretStoreType[] = [localEnv, localFile, kubernetes];

/** `type` in lower case; null when there is none of that type. */
export function findSecretStoreType(type: string): SecretStoreType | null {
  return SECRET_STORES.find((each) => each.type === type) ?? null;
}
