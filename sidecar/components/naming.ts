// The names and phrases of Dapr's log for Components, which people's alerts search for. Text only.
import { firstVersionOf } from "../stores/registry.ts";

export interface Titled {
  readonly name: string;
  readonly type: string;
  readonly version: string;
}

/** `orders (state.redis/v1)` */
export function title(component: Titled): string {
  return `${component.name} (${component.type}/${versionOf(component)})`;
}

/** An empty version is the type's first one. */
export function versionOf({ type, version }: Titled): string {
  return version === "" ? firstVersionOf(type.toLowerCase()) : version;
}

/** "CREATE": there is no such type. "INIT": it could not be configured or opened. */
export function initFailure(kind: "CREATE" | "INIT", titleOfComponent: string, why: string): string {
  return `[${kind}_COMPONENT_FAILURE]: initialization error occurred for ${titleOfComponent}: ${why}`;
}

/** What ends a start because of a Component. */
export interface StartFailure {
  readonly name: string;
  /** In Dapr's words. */
  readonly text: string;
}

export function startFailure(name: string, reason: string): StartFailure {
  return { name, text: `process component ${name} error: ${reason}` };
}
