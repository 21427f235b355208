// The Configuration that the operator sends, by its name. Unlike in files no variable is replaced in it, as with Dapr.
// Knows no connection.
import { parseConfiguration } from "#crds/configuration.ts";
import type { ResourceKind, ResourceMessage } from "#crds/distribution.ts";
import { describeFault, hasErrors } from "#kit/fault.ts";
import {
  type ConfigurationContent,
  ConfigurationError,
  type ConfigurationOrigin,
  type LoadedConfiguration,
} from "./origin.ts";

/** The name that Dapr's own installation uses: where nothing has it, the defaults count (dapr-kubernetes.md 1.2). */
const DAPR_SYSTEM = "daprsystem";

export interface ConfigurationFeed {
  /** Null when there is none, or not yet. */
  find(kind: ResourceKind, name: string): ResourceMessage | null;
  onChange(listener: (kinds: ReadonlySet<ResourceKind>) => void): () => void;
}

export function operatorOrigin(name: string, feed: ConfigurationFeed): ConfigurationOrigin {
  const title = `Configuration ${name} (operator)`;
  return {
    isFixed: false,
    read: async () => contentOf(title, feed.find("Configuration", name)?.resource ?? absent(title, name)),
    onChange: (listener) => feed.onChange((kinds) => (kinds.has("Configuration") ? listener() : undefined)),
  };
}

function absent(title: string, name: string): object {
  if (name === DAPR_SYSTEM) return {};
  throw new ConfigurationError(title, `${title}: there is none of that name in the pod's namespace`);
}

function contentOf(title: string, resource: object): ConfigurationContent {
  return { digest: JSON.stringify(resource), decode: () => decode(title, resource) };
}

function decode(title: string, resource: object): LoadedConfiguration {
  const { configuration, faults } = parseConfiguration(resource);
  const told = (severity: "error" | "warning"): string[] =>
    faults.filter((fault) => fault.severity === severity).map((fault) => `${title}: ${describeFault(fault)}`);
  if (configuration === null || hasErrors(faults)) throw new ConfigurationError(title, told("error").join("\n"));
  return { configuration, warnings: told("warning") };
}
