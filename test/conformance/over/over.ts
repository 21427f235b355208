// A subject of the suite once more, over the API: each store that a case opens is a sidecar of its own, started on the
// subject's Component and called over the network. Stores on the same data are replicas of one application.
import type { Property } from "#crds/fields.ts";
import type { Features, Store } from "#sidecar/stores/store.ts";
import { startWire, type WireSidecar } from "#test/wire/sidecar.ts";
import type { Subject } from "../subject.ts";
import type { Surface } from "../surface.ts";
import { KEY_PREFIX } from "./api-keys.ts";
import type { Untold } from "./described.ts";

/** A way to call a sidecar. */
export interface Api {
  /** "HTTP" */
  readonly name: string;
  readonly surface: Surface;
  /** A store that calls the sidecar's one Component, which has this name. Its close ends its connections. */
  connect(wire: WireSidecar, component: string, untold: Untold): Promise<Store>;
}

/** Of the sidecars: small, so that the limits which follow from it are reached with little. */
export const BODY_BYTES_MAX: number = 2 * 1024 * 1024;

/** Nothing is under way when a case closes its store. */
const DRAIN_MS = 200;

export const COMPONENT = "statestore";

/**
 * The subject over an API. The suite's own store is called by the first of `apis`, further ones by the next, and so on in
 * turn: what is said over one protocol holds for the other.
 */
export function over(subject: Subject, apis: readonly [Api, ...Api[]]): Subject {
  const [{ name, surface }] = apis;
  const logs: (readonly string[])[] = [];
  let opened = 0;
  const open = (properties: readonly Property[]): Promise<Store> => {
    const api = apis[opened++ % apis.length] ?? apis[0];
    return openOver(subject, api, properties, logs);
  };
  return {
    ...subject,
    name: `${subject.name}, over ${name}`,
    surface,
    // What becomes of the API while a store's server is away belongs to faults and not to this contract.
    server: "none",
    driver: {
      ...subject.driver,
      decode: (properties, others) => ({
        ...subject.driver.decode(properties, others),
        open: () => open(properties),
      }),
    },
    async start() {
      const running = await subject.start();
      opened = 0;
      return { ...running, server: null, logged: () => logs.flat().join("") };
    },
  };
}

async function openOver(
  subject: Subject,
  api: Api,
  properties: readonly Property[],
  logs: (readonly string[])[],
): Promise<Store> {
  const wire = await startOn(subject, properties);
  logs.push(wire.log);
  const { etagMayBeQuoted } = subject.declares.traits;
  try {
    const store = await api.connect(wire, COMPONENT, { etagMayBeQuoted });
    return closing(Object.assign(store, undeclared(store.features)), wire);
  } catch (error) {
    await wire.stop();
    throw error;
  }
}

/** An API has every request; a store without the feature behind it has not the method. */
function undeclared({ transactions, list }: Features): object {
  return {
    ...(transactions ? {} : { transact: undefined }),
    ...(list ? {} : { list: undefined, count: undefined, removeRange: undefined }),
  };
}

/** A sidecar with the subject's Component, which is named {@link COMPONENT}. */
export function startOn(subject: Subject, properties: readonly Property[]): Promise<WireSidecar> {
  return startWire({
    manifests: { "component.yaml": manifest(subject, properties) },
    settings: {
      appId: KEY_PREFIX,
      bodyBytesMax: BODY_BYTES_MAX,
      apiLogging: true,
      logLevel: "debug",
      drainMs: DRAIN_MS,
    },
  });
}

function manifest({ driver }: Subject, properties: readonly Property[]): string {
  const metadata = [
    ...properties.map(({ name, value }) => ({ name, value })),
    { name: "keyPrefix", value: KEY_PREFIX },
  ];
  const spec = { type: driver.type, version: driver.defaultVersion, metadata };
  return JSON.stringify({ apiVersion: "dapr.io/v1alpha1", kind: "Component", metadata: { name: COMPONENT }, spec });
}

/** The store, whose close ends its sidecar too, once. */
function closing(store: Store, wire: WireSidecar): Store {
  const close = store.close.bind(store);
  let closed: Promise<void> | null = null;
  store.close = () => {
    closed ??= close().then(() => wire.stop());
    return closed;
  };
  return store;
}
