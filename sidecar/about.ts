// What the sidecar tells of itself, the same over HTTP and gRPC: metadata (dapr-state-api.md 8.1) and what a store can do.
import { RUNTIME_VERSION } from "#kit/version.ts";
import type { SidecarSettings } from "./settings.ts";
import type { ComponentStatus, FileProblem, OperatorStatus, StoreEntry, StoreTable } from "./state/table.ts";
import type { Features, Limits, Traits } from "./stores/store.ts";

/** Attributes that clients may set, and the size of one in bytes. */
const ATTRIBUTES_MAX = 1000;
export const ATTRIBUTE_BYTES_MAX = 65_536;
/** And all of them together. */
const ATTRIBUTES_BYTES_MAX = 1024 * 1024;

export interface AboutParts {
  readonly settings: SidecarSettings;
  readonly stores: StoreTable;
  /** All Components, those that failed too. */
  readonly statuses: () => readonly ComponentStatus[];
  /** Manifests that cannot be used, whether a Component belongs to them or not. */
  readonly fileProblems: () => readonly FileProblem[];
  readonly enabledFeatures: () => readonly string[];
  /** Names of the Resiliencies that are loaded. */
  readonly resiliencies: () => readonly string[];
  /** Null outside of a cluster. */
  readonly operator: (() => OperatorStatus) | null;
}

export interface AboutSidecar {
  readonly id: string;
  readonly runtimeVersion: string;
  readonly enabledFeatures: readonly string[];
  readonly components: readonly AboutComponent[];
  readonly resiliencies: readonly string[];
  /** Attributes that clients set, and after them ours. */
  readonly extended: Readonly<Record<string, string>>;
  readonly app: AboutApp;
}

export interface AboutComponent {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  /** Null when its store is gone meanwhile. */
  readonly capabilities: readonly string[] | null;
}

export interface AboutApp {
  /** Null when there is no app. */
  readonly port: number | null;
  readonly protocol: string;
  readonly channelAddress: string;
  /** Null for no limit. */
  readonly maxConcurrency: number | null;
}

/** The contract that requests to a store are held to. */
export interface AboutStore {
  readonly name: string;
  readonly type: string;
  readonly version: string;
  readonly features: Features;
  readonly limits: Limits & { readonly requestBytesMax: number | null };
  readonly traits: Traits;
  readonly defaultTtlSec: number | null;
}

export class About {
  readonly #parts: AboutParts;
  readonly #attributes = new Map<string, string>();

  constructor(parts: AboutParts) {
    this.#parts = parts;
  }

  sidecar(): AboutSidecar {
    const { settings, stores } = this.#parts;
    const statuses = this.#parts.statuses();
    const loaded = statuses.filter((status) => status.state !== "failed");
    return {
      id: settings.appId,
      runtimeVersion: RUNTIME_VERSION,
      enabledFeatures: this.#parts.enabledFeatures(),
      components: loaded.map(({ name, type, version }) => {
        const entry = stores.find(name);
        return { name, type, version, capabilities: entry === undefined ? null : capabilities(entry) };
      }),
      resiliencies: this.#parts.resiliencies(),
      extended: this.#extended(statuses),
      app: describeApp(settings),
    };
  }

  /** Keeps an attribute, or gives the reason why not. */
  setAttribute(name: string, value: string): string | null {
    const bytes = Buffer.byteLength(value);
    if (bytes > ATTRIBUTE_BYTES_MAX)
      return `a metadata attribute has at most ${ATTRIBUTE_BYTES_MAX} bytes, got ${bytes}`;
    if (!this.#attributes.has(name) && this.#attributes.size >= ATTRIBUTES_MAX) {
      return `the sidecar keeps at most ${ATTRIBUTES_MAX} metadata attributes`;
    }
    let total = bytes;
    for (const [other, kept] of this.#attributes) if (other !== name) total += Buffer.byteLength(kept);
    if (total > ATTRIBUTES_BYTES_MAX) {
      return `the sidecar keeps at most ${ATTRIBUTES_BYTES_MAX} bytes of metadata attributes`;
    }
    this.#attributes.set(name, value);
    return null;
  }

  store(entry: StoreEntry): AboutStore {
    const { features, limits, traits, defaultTtlSec } = entry.store;
    const { bodyBytesMax } = this.#parts.settings;
    const requestBytesMax = bodyBytesMax === 0 ? null : bodyBytesMax;
    const { name, type, version } = entry;
    return { name, type, version, features, limits: { ...limits, requestBytesMax }, traits, defaultTtlSec };
  }

  #extended(statuses: readonly ComponentStatus[]): Readonly<Record<string, string>> {
    const troubles = statuses.filter((status) => status.message !== null);
    return Object.fromEntries([
      // First, so that no client can put its word in the place of ours.
      ...this.#attributes,
      ["daprRuntimeVersion", RUNTIME_VERSION],
      ...troubles.map((status) => [`pannier.component.${status.name}`, `${status.state}: ${status.message}`]),
      ...describeOperator(this.#parts.operator?.()),
      ...this.#parts.fileProblems().map(({ file, problem }) => [`pannier.file.${file}`, problem]),
    ]);
  }
}

function describeOperator(status: OperatorStatus | undefined): [string, string][] {
  if (status === undefined) return [];
  const { address, connected, sinceMs, problem } = status;
  const since = new Date(sinceMs).toISOString();
  const how = connected
    ? `connected with ${address} since ${since}`
    : `not connected with ${address} since ${since}: ${problem}`;
  return [["pannier.operator", how]];
}

/** Dapr's words in Dapr's order; ACTOR wherever ETags and transactions are (dapr-state-api.md 8.1). */
function capabilities({ store }: StoreEntry): readonly string[] {
  return store.features.etag && store.features.transactions ? [...store.capabilities, "ACTOR"] : store.capabilities;
}

function describeApp({ appPort, appProtocol, appChannelAddress, appMaxConcurrency }: SidecarSettings): AboutApp {
  return {
    port: appPort,
    protocol: appProtocol,
    channelAddress: appChannelAddress,
    maxConcurrency: appMaxConcurrency > 0 ? appMaxConcurrency : null,
  };
}
