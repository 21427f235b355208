// The metrics label of a request's path, as Dapr collapses it (dapr-state-api.md 9): state paths to the store, others to
// their pattern. A name that is no store's, and a path without a route, share one label each: clients cannot make up series.
import type { StoreTable } from "../state/table.ts";
import { compilePatterns } from "./path-patterns.ts";
import type { Match } from "./router.ts";
import type { Handler } from "./server.ts";

const STATE_PREFIX = "/v1.0/state/";
/** What Dapr calls the paths that no pattern fits, where paths are not told otherwise. */
const NO_PATTERN = "_";

/** `path`: as the client sent it, query and all. */
export type PathLabel = (match: Match<Handler> | null, parameters: readonly string[], path: string) => string;

/** What a Configuration says of the labels of paths. */
export interface PathLabelSettings {
  /** False: no path in the labels, unless a pattern fits. */
  readonly increasedCardinality: boolean;
  readonly pathMatching: readonly string[];
}

/** The label by the patterns of the Configuration, and `label` or nothing for what they do not fit. */
export function configuredPathLabel(label: PathLabel, settings: PathLabelSettings): PathLabel {
  const { increasedCardinality, pathMatching } = settings;
  if (pathMatching.length === 0) return increasedCardinality ? label : () => "";
  const find = compilePatterns(pathMatching);
  return (match, parameters, path) =>
    find(path) ?? (increasedCardinality ? label(match, parameters, path) : NO_PATTERN);
}

export function statePathLabel(
  stores: StoreTable,
): (match: Match<Handler> | null, parameters: readonly string[]) => string {
  const labels = new Map<string, string>();
  return (match, parameters) => {
    if (match === null) return "unmatched";
    const { pattern } = match.route;
    if (!pattern.startsWith(STATE_PREFIX)) return pattern;
    const store = parameters[0] ?? "";
    const label = labels.get(store);
    if (label !== undefined) return label;
    if (stores.find(store) === undefined) return `${STATE_PREFIX}{storeName}`;
    labels.set(store, STATE_PREFIX + store);
    return STATE_PREFIX + store;
  };
}
