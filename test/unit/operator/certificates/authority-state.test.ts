import assert from "node:assert/strict";
import {
  AUTHORITY_LIFETIME_MS,
  activate,
  DAY_MS,
  fromSecretData,
  isToRenew,
  newState,
  prepare,
  prune,
  splitPem,
  toSecretData,
  trustAnchorsOf,
} from "#operator/certificates/authority-state.ts";
import { issueLeaf } from "#operator/certificates/issue.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const first = await newState(NOW_MS);
const prepared = await prepare(first, NOW_MS + 250 * DAY_MS);
const active = activate(prepared);
const other = (await newState(NOW_MS)).signing;
const leaf = await issueLeaf(["localhost"], other, { fromMs: NOW_MS, untilMs: NOW_MS + DAY_MS });

describe("the state of the CA", () => {
  it("comes back from the Secret as it went in, at each step of a rotation", async () => {
    for (const state of [first, prepared, active, await prepare(active, NOW_MS)]) {
      assert.deepEqual(fromSecretData(toSecretData(state)), state);
    }
  });

  it("publishes the next CA before it signs, and the old one after", () => {
    assert.equal(prepared.signing, first.signing);
    const next = prepared.next?.certificatePem ?? "";
    assert.deepEqual(splitPem(trustAnchorsOf(prepared)), [first.signing.certificatePem, next]);
    assert.deepEqual(splitPem(trustAnchorsOf(active)), [next, first.signing.certificatePem]);
    assert.equal(active.signing.keyPem, prepared.next?.keyPem);
  });

  it("keeps no key of a CA that signs no more", () => {
    assert.equal(
      JSON.stringify(toSecretData(active)).includes(JSON.stringify(first.signing.keyPem).slice(1, -1)),
      false,
    );
  });

  it("drops the old CA and the bridge from it when they expire, and not before", () => {
    const endMs = NOW_MS + AUTHORITY_LIFETIME_MS;
    assert.equal(prune(active, endMs - 1), active);
    const after = prune(active, endMs);
    assert.deepEqual([after.former, after.bridges], [[], []]);
    assert.equal(after.signing, active.signing);
  });

  it("is due for renewal at two thirds of its life", () => {
    const atMs = NOW_MS + (AUTHORITY_LIFETIME_MS * 2) / 3;
    assert.equal(isToRenew(first.signing.certificatePem, atMs - DAY_MS), false);
    assert.equal(isToRenew(first.signing.certificatePem, atMs + DAY_MS), true);
  });
});

describe("a Secret that holds no CA", () => {
  const good = toSecretData(first);
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
    ["is empty", {}, /ca\.crt holds 0 certificates: want one/],
    ["lost its key", { ...good, "ca.key": "" }, /ca\.key holds no private key in PEM/],
    ["has a key of another CA", { ...good, "ca.key": other.keyPem }, /ca\.key does not belong to ca\.crt/],
    ["has garbage for a certificate", { ...good, "ca.crt": "garbage" }, /ca\.crt holds something that is no cert/],
    ["has a broken certificate", { ...good, "ca-former.crt": broken(other.certificatePem) }, /ca-former\.crt holds/],
    ["has two CAs", { ...good, "ca.crt": `${good["ca.crt"]}${other.certificatePem}` }, /holds 2 certificates/],
    ["has a leaf", { ...good, "ca.crt": leaf.certificatePem, "ca.key": leaf.keyPem }, /not that of a CA/],
    ["has a next CA without its key", { ...good, "next.crt": other.certificatePem }, /next\.key holds no private key/],
    [
      "has a next CA without its bridge",
      { ...good, "next.crt": other.certificatePem, "next.key": other.keyPem },
      /next-bridge\.crt is empty/,
    ],
  ];
  for (const [name, data, sentence] of cases) {
    it(`is told by a sentence when it ${name}`, () => {
      const told = fromSecretData(data);
      assert.ok(typeof told === "string");
      assert.match(told, sentence);
      assert.equal(told.includes("PRIVATE"), false);
    });
  }
});

function broken(pem: string): string {
  return pem.replace(/\n[^\n]{20}/, `\n${"A".repeat(20)}`);
}
