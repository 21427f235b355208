// The subject of pluggable components: one of our own. No component written with a public SDK can be had (the module of the
// Go SDK is in no registry); Dapr's own drivers behind the same protocol, with its generated code, serve test/interchange/.
import { pluggableDriver } from "#sidecar/stores/pluggable/pluggable.ts";
import type { StoreDriver } from "#sidecar/stores/store.ts";
import { startComponent } from "#test/servers/pluggable.ts";
import { type Declaration, ownServer, type Subject } from "./subject.ts";

const declares: Declaration = {
  features: { etag: true, transactions: true, ttl: true, list: false },
  limits: { valueBytesMax: null, keyBytesMax: null, operationsMax: 1000, ttlSecMin: 1 },
  traits: {
    values: "exact-bytes",
    foreignEtag: "mismatch",
    etagMayBeQuoted: true,
    firstWriteDelete: "ignored",
    ttlStepMs: 1000,
    durable: true,
    listOrder: "none",
    queryStrings: "typed",
  },
};

/** The driver of `type`, in a folder that is known only when its server has been started. */
function driverIn(type: string, folder: () => string): StoreDriver {
  return { ...pluggableDriver(type, ""), decode: (...given) => pluggableDriver(type, folder()).decode(...given) };
}

let folder = "";

export const pluggableOwn: Subject = {
  name: "a pluggable component",
  driver: driverIn("state.ours", () => folder),
  declares,
  server: "pause",
  skip: null,
  async start() {
    const component = await startComponent("ours");
    folder = component.folder;
    return ownServer(component, { colour: "red" });
  },
};
