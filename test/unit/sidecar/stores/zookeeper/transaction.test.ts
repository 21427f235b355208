// What a transaction asks of ZooKeeper, given what was seen: every node that a condition is about is held to its version.
import assert from "node:assert/strict";
import { ANY_VERSION, type Operation, type Stat } from "#sidecar/stores/zookeeper/messages.ts";
import { etagOf, mustHold, type Node, operationsOf, planOf } from "#sidecar/stores/zookeeper/transaction.ts";
import { deletion, upsert } from "./fixture.ts";

const stat: Stat = { czxid: 0x2an, version: 7, dataLength: 1, numChildren: 0 };
const value: Node = { stat, hasValue: true };
const above: Node = { stat: { ...stat, numChildren: 2 }, hasValue: true };
const bare: Node = { stat: { ...stat, dataLength: 0 }, hasValue: false };
const etag = etagOf(stat);

/** The operations of changes of one key, as "create", "set 7", "delete -1". */
function asked(node: Node | null, ...changes: Parameters<typeof planOf>[0]): readonly string[] {
  const plan = planOf(changes, false, (key) => `/${key}`);
  const nodes = new Map([["/k", node]]);
  mustHold(plan, nodes);
  const told = (each: Operation): string => (each.kind === "create" ? "create" : `${each.kind} ${each.version}`);
  return operationsOf(plan, nodes).map(
    (each) => `${told(each)}${"data" in each && each.data === null ? " to nothing" : ""}`,
  );
}

describe("a transaction's operations", () => {
  const first = { firstWrite: true };
  const cases: readonly (readonly [what: string, got: () => readonly string[], want: readonly string[]])[] = [
    ["a plain write", () => asked(value, upsert("k", "1")), [`set ${ANY_VERSION}`]],
    ["a plain write of what is not there", () => asked(null, upsert("k", "1")), ["create"]],
    ["a write with an ETag", () => asked(value, upsert("k", "1", { etag })), ["set 7"]],
    ["a first write", () => asked(null, upsert("k", "1", first)), ["create"]],
    ["a first write on a node without a value", () => asked(bare, upsert("k", "1", first)), ["set 7"]],
    ["a plain delete", () => asked(value, deletion("k")), [`delete ${ANY_VERSION}`]],
    ["a plain delete of what is not there", () => asked(null, deletion("k")), []],
    ["a plain delete of a node without a value", () => asked(bare, deletion("k")), []],
    ["a delete with an ETag", () => asked(value, deletion("k", { etag })), ["delete 7"]],
    ["a delete with an ETag above others", () => asked(above, deletion("k", { etag })), ["set 7 to nothing"]],
    [
      "a first write that is deleted",
      () => asked(null, upsert("k", "1", first), deletion("k")),
      ["create to nothing", "delete -1"],
    ],
    ["the same on a node without a value", () => asked(bare, upsert("k", "1", first), deletion("k")), ["check 7"]],
    [
      "a delete of what another write needs above its own",
      () => asked(value, deletion("k"), upsert("k/l", "1")),
      [`set ${ANY_VERSION} to nothing`, "create"],
    ],
    ["two writes, one with an ETag", () => asked(value, upsert("k", "1", { etag }), upsert("k", "2")), ["set 7"]],
  ];
  for (const [what, got, want] of cases) it(`are right for ${what}`, () => assert.deepEqual(got(), want));

  it("are none where a condition does not hold, and the error names the change", () => {
    const refused: readonly (readonly [got: () => unknown, message: RegExp])[] = [
      [() => asked(value, deletion("k"), upsert("k", "1", first)), /^change 2 of 2: item already exists/],
      [() => asked(null, upsert("k", "1", { etag })), /^change 1 of 1: there is no value/],
      [() => asked(bare, deletion("k", { etag })), /there is no value/],
      [() => asked(value, deletion("k", { etag: "7-2b" })), /another etag/],
      [() => asked(value, deletion("k", { etag: "7" })), /another etag/],
    ];
    for (const [got, message] of refused) assert.throws(got, { code: "etag-mismatch", message });
  });

  it("have no place in the error of a change alone", () => {
    const plan = planOf([upsert("k", "1", first)], true, (key) => `/${key}`);
    assert.throws(() => mustHold(plan, new Map([["/k", value]])), { message: /^item already exists/ });
  });
});
