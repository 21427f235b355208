// The words in braces that stand for something of the sidecar's: {uuid}, {podName}, {namespace}, {appID}
// (dapr-state-api.md 5). Filled in after secrets are, as Dapr does, so a secret may hold one.
import type { MetadataEntry } from "#crds/component.ts";
import type { Fault } from "#kit/fault.ts";

export interface Templates {
  readonly appId: string;
  /** "" when the sidecar has none. */
  readonly namespace: string;
  readonly podName: string | null;
  /**
   * The UUID for the nth `{uuid}` of an entry. The same answer for the same place while the Component lives: a new one
   * at each reading of the file would make the settings differ and reopen the store.
   */
  readonly uuid: (entry: string, nth: number) => string;
}

/** The text with all templates filled in, or the fault of a `{podName}` without a pod. */
export function fillTemplates(text: string, entry: MetadataEntry, templates: Templates): string | Fault {
  if (!text.includes("{")) return text;
  const { appId, namespace, podName } = templates;
  if (podName === null && text.includes("{podName}")) {
    const want = "the environment variable POD_NAME to be set: the value holds {podName}";
    return { severity: "error", field: entry.name, got: null, want, hint: null };
  }
  let count = 0;
  // One pass: what is filled in is not searched again.
  return text.replace(/\{(uuid|podName|namespace|appID)\}/g, (_match, word: string) => {
    if (word === "uuid") return templates.uuid(entry.name, count++);
    if (word === "podName") return podName ?? "";
    return word === "appID" ? appId : `${namespace}.${appId}`;
  });
}
