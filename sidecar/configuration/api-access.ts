// Which APIs a Configuration lets clients call: `api.allowed` and `api.denied` (dapr-state-api.md 3.3). Knows no route.
import type { ApiRule } from "#crds/api-rules.ts";
import type { Configuration } from "#crds/configuration.ts";

/** Dapr's endpoint groups of this API, and Pannier's own. */
export type ApiGroup =
  | "state/v1.0"
  | "state/v1.0-alpha1"
  | "actors/v1.0"
  | "metadata/v1.0"
  | "shutdown/v1.0"
  | "pannier/v1";

export type ApiProtocol = ApiRule["protocol"];

/** `null` stands for what no list can take away: health. */
export type IsAllowed = (protocol: ApiProtocol, group: ApiGroup | null) => boolean;

/** The spellings of a version that Dapr's two surfaces take. */
const VERSIONS: Readonly<Record<string, string>> = {
  v1: "v1.0",
  "v1.0": "v1.0",
  v1alpha1: "v1.0-alpha1",
  "v1.0-alpha1": "v1.0-alpha1",
};

/**
 * Decides for one Configuration. A denied API is closed whatever is allowed; once a protocol has an allowed API, all
 * others of it are closed. Pannier's own API reads and writes state too: to deny `state` denies it.
 */
export function apiAccess({ api }: Pick<Configuration, "api">): IsAllowed {
  const allowed = { http: groupsOf(api.allowed, "http"), grpc: groupsOf(api.allowed, "grpc") };
  const denied = { http: groupsOf(api.denied, "http"), grpc: groupsOf(api.denied, "grpc") };
  return (protocol, group) => {
    if (group === null) return true;
    const no = denied[protocol];
    if (no.has(keyOf(group)) || (group === "pannier/v1" && no.has("state/v1.0"))) return false;
    const yes = allowed[protocol];
    return yes.size === 0 || yes.has(keyOf(group));
  };
}

function groupsOf(rules: readonly ApiRule[], protocol: ApiProtocol): ReadonlySet<string> {
  const own = rules.filter((rule) => rule.protocol === protocol);
  return new Set(own.map(({ name, version }) => `${name}/${VERSIONS[version] ?? version}`));
}

function keyOf(group: ApiGroup): string {
  return group === "pannier/v1" ? "pannier/v1.0" : group;
}
