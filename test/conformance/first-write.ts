// Conformance: first-write. Without an ETag it creates and never replaces; with one the ETag alone decides
// (dapr-state-api.md 1.11, dapr-state-stores.md 18.3 step 13). The oddities of Dapr's Redis are not wanted.
import { type Case, type Chapter, caseFor, waitingCaseFor } from "./case.ts";
import { etagOf, eventually, expectMissing, expectUntouched, expectValue, mustFind, rejectsWith } from "./checks.ts";
import { call, json, READ, removal, write } from "./requests.ts";
import { all, hasEtags, hasTtl, type Subject } from "./subject.ts";
import { expiryDeadlineMs, readableTtlSec } from "./ttl.ts";

const FIRST = { firstWrite: true } as const;

const refusesDelete = ({ declares }: Subject): boolean => declares.traits.firstWriteDelete === "conflict";
const ignoresDelete = ({ declares }: Subject): boolean => declares.traits.firstWriteDelete === "ignored";

const cases: readonly Case[] = [
  caseFor(hasEtags, "creates a value where there is none", async ({ store, key }) => {
    await store.set(write(key("value"), json("first"), FIRST), call());
    await expectValue(store, key("value"), json("first"));
    await etagOf(store, key("value"));
  }),

  caseFor(hasEtags, "never replaces a value, whichever way that was written", async ({ store, key }) => {
    await store.set(write(key("plain"), json("first")), call());
    await store.set(write(key("created"), json("first"), FIRST), call());
    for (const each of [key("plain"), key("created")]) {
      const before = await mustFind(store, each);
      await rejectsWith(store.set(write(each, json("second"), FIRST), call()), ["etag-mismatch"]);
      await expectUntouched(store, each, before);
    }
  }),

  caseFor(hasEtags, "lets a plain write replace what first-write created", async ({ store, key }) => {
    await store.set(write(key("value"), json("first"), FIRST), call());
    await store.set(write(key("value"), json("second")), call());
    await store.set(write(key("value"), json("third")), call());
    await expectValue(store, key("value"), json("third"));
  }),

  caseFor(hasEtags, "creates again after a delete", async ({ store, key }) => {
    await store.set(write(key("value"), json("first"), FIRST), call());
    await store.remove(removal(key("value")), call());
    await store.set(write(key("value"), json("second"), FIRST), call());
    await expectValue(store, key("value"), json("second"));
  }),

  caseFor(hasEtags, "replaces when first-write comes with the right ETag", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await store.set(write(key("value"), json("second"), { ...FIRST, etag }), call());
    await expectValue(store, key("value"), json("second"));
    const before = await mustFind(store, key("value"));
    await rejectsWith(store.set(write(key("value"), json("third"), { ...FIRST, etag }), call()), ["etag-mismatch"]);
    await expectUntouched(store, key("value"), before);
  }),

  caseFor(hasEtags, "does not create when first-write comes with an ETag", async ({ store, key }) => {
    await store.set(write(key("other"), json("first")), call());
    const etag = await etagOf(store, key("other"));
    await rejectsWith(store.set(write(key("value"), json(1), { ...FIRST, etag }), call()), ["etag-mismatch"]);
    await expectMissing(store, key("value"));
  }),

  caseFor(hasEtags, "deletes with first-write and the right ETag", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await store.remove(removal(key("value"), { ...FIRST, etag }), call());
    await expectMissing(store, key("value"));
  }),

  caseFor(hasEtags, "deletes nothing with first-write where there is nothing", async ({ store, key }) => {
    await store.remove(removal(key("value"), FIRST), call());
    await expectMissing(store, key("value"));
  }),

  caseFor(
    all(hasEtags, refusesDelete),
    "refuses a first-write delete of a value, as declared",
    async ({ store, key }) => {
      await store.set(write(key("value"), json("first")), call());
      const before = await mustFind(store, key("value"));
      await rejectsWith(store.remove(removal(key("value"), FIRST), call()), ["etag-mismatch"]);
      await expectUntouched(store, key("value"), before);
    },
  ),

  caseFor(all(hasEtags, ignoresDelete), "takes a first-write delete as a plain one, as declared", async (context) => {
    const { store, key } = context;
    await store.set(write(key("value"), json("first")), call());
    await store.remove(removal(key("value"), FIRST), call());
    await expectMissing(store, key("value"));
  }),

  waitingCaseFor(all(hasEtags, hasTtl), "creates over a value that has expired", async (context) => {
    const { store, key } = context;
    const ttlSec = readableTtlSec(context.subject);
    await store.set(write(key("value"), json("first"), { ttlSec }), call());
    await rejectsWith(store.set(write(key("value"), json("second"), FIRST), call()), ["etag-mismatch"]);
    const isGone = async (): Promise<boolean> => (await store.get(key("value"), READ, call())) === null;
    await eventually("the value expires", expiryDeadlineMs(context, ttlSec), isGone);
    await store.set(write(key("value"), json("second"), FIRST), call());
    await expectValue(store, key("value"), json("second"));
  }),
];

export const firstWrite: Chapter = { name: "first-write", cases };
