// state.jetstream: a bucket of the key-value store of NATS 2.9 or later, in Dapr's layout (dapr-state-stores.md 17). This
// file opens it: settings into a connection and a store.
import { assert } from "#kit/assert.ts";
import { formatMs } from "#kit/duration.ts";
import { type OpenContext, type Store, type StoreDriver, StoreError, storeDriver } from "../store.ts";
import { parseAddresses } from "./addresses.ts";
import { Bucket } from "./bucket.ts";
import { check, fields, type JetStreamSettings } from "./fields.ts";
import { JetStreamStore } from "./jetstream-store.ts";
import { Link } from "./link.ts";
import { CONDITIONS_SINCE, keepsConditions } from "./versions.ts";

export const driver: StoreDriver = storeDriver<JetStreamSettings>({
  type: "state.jetstream",
  versions: ["v1"],
  defaultVersion: "v1",
  fields,
  check,
  foresee: () => ({ lacks: ["transactions"], bareKeysBy: null }),
  open,
});

/** Kept free in a message for the headers of a conditional write. */
const HEADERS_BYTES = 128;
/** What NATS takes in a message unless it is told otherwise. */
const PAYLOAD_BYTES = 1024 * 1024;

async function open(settings: Readonly<JetStreamSettings>, context: OpenContext): Promise<Store> {
  const { jwt, seedKey, name, dotsAsSeparators } = settings;
  const { clock, random, log, signal, component } = context;
  const addresses = parseAddresses(settings.natsURL);
  assert(!("want" in addresses), "the settings were checked with the fields");
  const credentials = jwt === "" ? null : { jwt, seed: seedKey };
  const link = new Link({ addresses, credentials, name, clock, random, log });
  try {
    const bucket = new Bucket(link, settings.bucket);
    const { isMirror, maxAgeMs, valueBytesMax, replicas } = await bucket.open(signal);
    if (isMirror)
      throw new StoreError("unavailable", `the bucket "${settings.bucket}" is a mirror, which takes no writes`);
    if (maxAgeMs !== null)
      log.warn("the bucket drops values by their age", { component, bucket: settings.bucket, age: formatMs(maxAgeMs) });
    const etags = keepsConditions(link.version ?? "", replicas);
    if (!etags)
      log.warn("ETags and first-write are refused: this server loses updates in buckets with replicas", {
        component,
        bucket: settings.bucket,
        version: link.version,
        want: CONDITIONS_SINCE,
      });
    const payloadBytes = Math.min(valueBytesMax ?? Number.POSITIVE_INFINITY, link.payloadBytesMax ?? PAYLOAD_BYTES);
    const most = Math.max(1, payloadBytes - HEADERS_BYTES);
    link.opened();
    return new JetStreamStore({ link, bucket, dotsAsSeparators, etags, valueBytesMax: most });
  } catch (error) {
    await link.close();
    throw error;
  }
}
