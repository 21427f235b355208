// Stores that are programs of their own: any type of which a socket lies in the folder of pluggable components is served
// by what listens there (dapr-state-api.md 10.3). This file makes the driver of such a type, and opens it.

import type { Property } from "#crds/fields.ts";
import { type Clock, sleep } from "#kit/clock.ts";
import { type OpenContext, type PreparedStore, type Store, type StoreDriver, StoreError } from "../store.ts";
import { lateError, NotServed } from "./failures.ts";
import { Link } from "./link.ts";
import { FEATURES, MULTI_MAX_SIZE, PING } from "./methods.ts";
import { PluggableStore } from "./pluggable-store.ts";
import { findSocket, untilSocket } from "./sockets.ts";

export { hasFolder } from "./sockets.ts";

/** How long to wait before a component that does not answer yet is asked again. */
const ASK_AGAIN_MS = 200;

/**
 * The driver of `type` ("state.foo", in lower case), which a component on a socket in `folder` serves, or will: it may come
 * after the sidecar, which waits for it while the store opens.
 */
export function pluggableDriver(type: string, folder: string): StoreDriver {
  return {
    type,
    versions: ["v1"],
    defaultVersion: "v1",
    // The component alone knows its fields.
    fields: {},
    decode: (properties) => prepared({ type, folder, properties }),
  };
}

interface Plugged {
  readonly type: string;
  readonly folder: string;
  readonly properties: readonly Property[];
}

function prepared(plugged: Plugged): PreparedStore {
  const pairs = plugged.properties.map(({ name, value }) => [name.toLowerCase(), value] as const);
  const sorted = pairs.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { faults: [], fingerprint: JSON.stringify(sorted), open: (context) => open(plugged, context) };
}

async function open({ type, folder, properties }: Plugged, context: OpenContext): Promise<Store> {
  const { clock, log, signal, component } = context;
  const name = type.replace("state.", "");
  const who = `pluggable component ${name}`;
  if ((await findSocket(folder, name)) === null) {
    const missing = `there is no store ${type}, and no pluggable component: no socket ${name}.* in ${folder}`;
    log.warn("waiting for a pluggable component", { error: missing });
    if ((await untilSocket(folder, name, { clock, signal })) === null) throw new StoreError("unavailable", missing);
  }
  const link = new Link({
    who,
    socket: () => findSocket(folder, name),
    instance: component,
    properties: Object.fromEntries(properties.map((property) => [property.name, property.value])),
    clock,
    log,
  });
  try {
    const capabilities = await untilAnswered(() => link.send(FEATURES, {}, signal), { clock, signal });
    const operationsMax = await maxSize(link, signal);
    await link.send(PING, {}, signal);
    return new PluggableStore({ link, who, capabilities: capabilities.features, operationsMax });
  } catch (error) {
    link.close();
    throw error instanceof StoreError && error.code === "timeout" && signal.aborted ? lateError(who) : error;
  }
}

/**
 * A socket can be there before its component listens, and after one that was killed. What went wrong before the time was
 * up is told rather than that it is up.
 */
async function untilAnswered<T>(
  ask: () => Promise<T>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<T> {
  let before: StoreError | null = null;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) throw before ?? error;
      if (!(error instanceof StoreError) || error.code !== "unavailable") throw error;
      before = error;
      await sleep(clock, ASK_AGAIN_MS, signal);
    }
  }
}

/** Null when the component does not say, or says no number above 0. */
async function maxSize(link: Link, signal: AbortSignal): Promise<number | null> {
  try {
    const { maxSize } = await link.send(MULTI_MAX_SIZE, {}, signal);
    return maxSize > 0 ? maxSize : null;
  } catch (error) {
    if (error instanceof NotServed) return null;
    throw error;
  }
}
