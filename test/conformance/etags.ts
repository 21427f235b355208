// Conformance: ETags. Every value has one, every write makes a new one, a condition that does not hold writes nothing
// (dapr-state-api.md 1.11, dapr-state-stores.md 18.3 step 12).
import assert from "node:assert/strict";
import type { StoreErrorCode } from "#sidecar/stores/store.ts";
import { type Case, type Chapter, type Context, caseFor } from "./case.ts";
import { etagOf, expectMissing, expectUntouched, expectValue, getMany, mustFind, rejectsWith } from "./checks.ts";
import { call, json, removal, write } from "./requests.ts";
import { hasEtags } from "./subject.ts";
import { surfaceOf } from "./surface.ts";

const WRITES = 20;

/** What an ETag is refused with that this store never makes. */
export function foreignCode({ subject }: Context): StoreErrorCode {
  return subject.declares.traits.foreignEtag === "invalid" ? "etag-invalid" : "etag-mismatch";
}

/**
 * Texts near an ETag that a store which parses, trims or folds it would take for the same. Not among them: another
 * spelling of the same number, which Dapr's Redis takes and which names the same version.
 */
function lookalikes(etag: string): readonly string[] {
  const near = [` ${etag}`, `${etag} `, `x${etag}`, `${etag}.0`, `${etag}x`, `"${etag}"`, etag.slice(0, -1)];
  return [...near, etag.toUpperCase()].filter((each) => each !== etag && each !== "");
}

/** A header's value has no space at its ends and may stand in quotes. */
function isSameInHeader(header: string, etag: string): boolean {
  return header.trim() === etag || header === `"${etag}"`;
}

const etagCase = (name: string, run: Case["run"]): Case => caseFor(hasEtags, name, run);

const cases: readonly Case[] = [
  etagCase("gives every value an ETag that reading does not change", async ({ store, key }) => {
    await store.set(write(key("value"), json(1)), call());
    const etag = await etagOf(store, key("value"));
    assert.equal(await etagOf(store, key("value")), etag);
    assert.equal((await getMany(store, [key("value")]))[0]?.etag, etag);
  }),

  etagCase("makes a new ETag with every write, also of the same bytes", async ({ store, key, subject }) => {
    const seen = new Set<string>();
    for (let count = 0; count < WRITES; count++) {
      await store.set(write(key("value"), json("same")), call());
      seen.add(await etagOf(store, key("value")));
    }
    assert.equal(seen.size, WRITES);
    if (subject.declares.traits.etagMayBeQuoted) return;
    for (const etag of seen) assert.equal(etag.startsWith('"'), false, `an etag begins with a quote: ${etag}`);
  }),

  etagCase("writes with the right ETag and makes a new one", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await store.set(write(key("value"), json("second"), { etag }), call());
    await expectValue(store, key("value"), json("second"));
    assert.notEqual(await etagOf(store, key("value")), etag);
  }),

  etagCase("refuses a write with a stale ETag and writes nothing", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await store.set(write(key("value"), json("second")), call());
    const before = await mustFind(store, key("value"));
    await rejectsWith(store.set(write(key("value"), json("third"), { etag }), call()), ["etag-mismatch"]);
    await expectUntouched(store, key("value"), before);
  }),

  etagCase("refuses an ETag it never made with the declared code, on writes and deletes", async (context) => {
    const { store, key } = context;
    await store.set(write(key("value"), json("first")), call());
    const before = await mustFind(store, key("value"));
    const etag = "bad-etag";
    await rejectsWith(store.set(write(key("value"), json("second"), { etag }), call()), [foreignCode(context)]);
    await rejectsWith(store.remove(removal(key("value"), { etag }), call()), [foreignCode(context)]);
    await expectUntouched(store, key("value"), before);
  }),

  etagCase("compares ETags as whole texts", async ({ store, key, subject }) => {
    await store.set(write(key("value"), json("first")), call());
    const before = await mustFind(store, key("value"));
    for (const etag of lookalikes(before.etag ?? "")) {
      const codes: readonly StoreErrorCode[] = ["etag-mismatch", "etag-invalid"];
      await rejectsWith(store.set(write(key("value"), json("second"), { etag }), call()), codes, `set with ${etag}`);
      if (surfaceOf(subject).removalEtag === "header" && isSameInHeader(etag, before.etag ?? "")) continue;
      await rejectsWith(store.remove(removal(key("value"), { etag }), call()), codes, `remove with ${etag}`);
    }
    await expectUntouched(store, key("value"), before);
  }),

  etagCase("refuses an ETag for a key that is not there, and creates nothing", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await rejectsWith(store.set(write(key("missing"), json(1), { etag }), call()), ["etag-mismatch"]);
    await rejectsWith(store.remove(removal(key("missing"), { etag }), call()), ["etag-mismatch"]);
    await expectMissing(store, key("missing"));
  }),

  etagCase("refuses the ETag of a value that was deleted", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await store.remove(removal(key("value")), call());
    await rejectsWith(store.set(write(key("value"), json("second"), { etag }), call()), ["etag-mismatch"]);
    await rejectsWith(store.remove(removal(key("value"), { etag }), call()), ["etag-mismatch"]);
    await expectMissing(store, key("value"));
  }),

  etagCase("deletes with the right ETag", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    await store.remove(removal(key("value"), { etag: await etagOf(store, key("value")) }), call());
    await expectMissing(store, key("value"));
  }),

  etagCase("refuses a delete with a stale ETag and keeps the value", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    const etag = await etagOf(store, key("value"));
    await store.set(write(key("value"), json("second")), call());
    const before = await mustFind(store, key("value"));
    await rejectsWith(store.remove(removal(key("value"), { etag }), call()), ["etag-mismatch"]);
    await expectUntouched(store, key("value"), before);
  }),

  etagCase("changes no ETag but that of the key written", async ({ store, key }) => {
    await store.set(write(key("one"), json(1)), call());
    const before = await mustFind(store, key("one"));
    await store.set(write(key("two"), json(2)), call());
    await store.remove(removal(key("two")), call());
    await expectUntouched(store, key("one"), before);
  }),

  etagCase("lets a plain write and a plain delete through whatever the ETag is", async ({ store, key }) => {
    await store.set(write(key("value"), json("first")), call());
    await store.set(write(key("value"), json("second"), { etag: await etagOf(store, key("value")) }), call());
    await store.set(write(key("value"), json("third")), call());
    await expectValue(store, key("value"), json("third"));
    await store.remove(removal(key("value")), call());
    await expectMissing(store, key("value"));
  }),
];

export const etags: Chapter = { name: "ETags", cases };
