// What the changes of a transaction come to, and which of their conditions does not hold.
import assert from "node:assert/strict";
import { batchOf, mustHold } from "#sidecar/stores/sql/batch.ts";
import { StoreError } from "#sidecar/stores/store.ts";
import { deletion, upsert } from "#test/stores/requests.ts";

function refuse(what: string): never {
  throw new StoreError("refused", what);
}

const options = {
  checkKey: (key: string, isWritten: boolean): void => {
    if (key === "long" && isWritten) refuse("the key is too long");
  },
  toEtag: (etag: string): number => (/^\d+$/.test(etag) ? Number(etag) : refuse("no etag of this store")),
  toRow: ({ key }: { key: string }, where: string): string =>
    key === "bad" ? refuse("the value cannot be held") : `${where}${key}`,
};

describe("the batch of a SQL transaction", () => {
  it("has its keys in order, what each key's last change is, and all conditions", () => {
    const changes = [
      upsert("d", "1", { etag: "7" }),
      deletion("b"),
      upsert("b", "2"),
      upsert("c", "3", { firstWrite: true }),
      deletion("c"),
      deletion("a", { etag: "8" }),
      upsert("d", "4"),
    ];
    assert.deepEqual(batchOf(changes, options), {
      keys: ["a", "b", "c", "d"],
      conditions: [
        { key: "d", etag: 7, where: "change 1 of 7: " },
        { key: "c", etag: null, where: "change 4 of 7: " },
        { key: "a", etag: 8, where: "change 6 of 7: " },
      ],
      removed: ["a", "c"],
      put: ["change 3 of 7: b", "change 7 of 7: d"],
    });
  });

  it("names the change whose key, ETag or value cannot be", () => {
    const refused = [
      [upsert("long", "1"), "the key is too long"],
      [upsert("b", "1", { etag: "x" }), "no etag of this store"],
      [deletion("b", { etag: "x" }), "no etag of this store"],
      [upsert("bad", "1"), "the value cannot be held"],
    ] as const;
    for (const [change, why] of refused)
      assert.throws(() => batchOf([deletion("long"), change], options), {
        code: "refused",
        message: `change 2 of 2: ${why}`,
      });
  });

  it("passes on what is no refusal as it is", () => {
    const broken = new TypeError("a mistake of ours");
    const toRow = (): never => {
      throw broken;
    };
    assert.throws(
      () => batchOf([upsert("a", "1")], { ...options, toRow }),
      (error) => error === broken,
    );
  });
});

describe("the conditions of a SQL transaction", () => {
  const live = new Map([["a", 1]]);
  const of = (key: string, etag: number | null): { key: string; etag: number | null; where: string } => ({
    key,
    etag,
    where: `${key}: `,
  });

  it("hold for an ETag that a live row has, and for a first write where there is none", () => {
    mustHold([of("a", 1), of("b", null)], live);
  });

  for (const [condition, message] of [
    [of("a", null), "a: item already exists and no etag was passed"],
    [of("b", 1), "b: there is no value under the key, or it has expired"],
    [of("a", 2), "a: the value has another etag than the one passed"],
  ] as const)
    it(`do not hold where it is so: ${message}`, () => {
      assert.throws(() => mustHold([of("a", 1), condition], live), { code: "etag-mismatch", message });
    });

  it("compare ETags as the driver does", () => {
    mustHold([of("a", 11)], live, (held, given) => Number(held) === given % 10);
  });
});
