// Key prefixes: how an API key becomes a key of the store (dapr-state-api.md 5, dapr-state-stores.md 0.4).
import { illegalKey } from "./errors.ts";

/** Between the prefix and the key, and between the parts of an actor's key. */
export const SEPARATOR = "||";

export interface KeyPrefixChoice {
  /** The Component's `keyPrefix` in lower case; "" or "appid" for the default. */
  readonly strategy: string;
  readonly storeName: string;
  readonly appId: string;
  /** "" when the sidecar has no namespace. */
  readonly namespace: string;
}

/**
 * What stands before every key of a store, separator included; "" for bare keys.
 * Any word but the four known ones is itself the prefix.
 */
export function resolveKeyPrefix(choice: KeyPrefixChoice): string {
  const { strategy, storeName, appId, namespace } = choice;
  const byApp = appId === "" ? "" : `${appId}${SEPARATOR}`;
  switch (strategy) {
    case "":
    case "appid":
      return byApp;
    case "name":
      return `${storeName}${SEPARATOR}`;
    case "namespace":
      return namespace === "" || appId === "" ? byApp : `${namespace}.${byApp}`;
    case "none":
      return "";
    default:
      return `${strategy}${SEPARATOR}`;
  }
}

/** The store's key for an API key. Throws illegal-key when the key holds the separator. */
export function qualify(store: string, prefix: string, key: string): string {
  if (key.includes(SEPARATOR)) throw illegalKey(store, key);
  return prefix + key;
}

/** The API key in a store's key: the second of at most three parts, or all of it when there is no separator. */
export function originalKey(stored: string): string {
  const first = stored.indexOf(SEPARATOR);
  if (first < 0) return stored;
  const rest = stored.slice(first + SEPARATOR.length);
  const second = rest.indexOf(SEPARATOR);
  return second < 0 ? rest : rest.slice(0, second);
}
