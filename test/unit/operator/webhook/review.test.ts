import assert from "node:assert/strict";
import { type Admission, type AdmissionRequest, readReview, review, WARNING_MAX } from "#operator/webhook/review.ts";

const request: AdmissionRequest = {
  uid: "u-1",
  kind: { group: "", version: "v1", kind: "Pod" },
  operation: "CREATE",
  namespace: "shop",
  name: "",
  userName: "system:serviceaccount:kube-system:replicaset-controller",
  dryRun: true,
  object: { metadata: { generateName: "orders-" } },
};
const sent = {
  uid: request.uid,
  kind: request.kind,
  resource: { group: "", version: "v1", resource: "pods" },
  operation: "CREATE",
  namespace: "shop",
  userInfo: { username: request.userName, groups: ["system:authenticated"] },
  dryRun: true,
  object: request.object,
  oldObject: null,
};
const envelope = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request: sent };

function read(value: unknown): AdmissionRequest | string {
  return readReview(Buffer.from(typeof value === "string" ? value : JSON.stringify(value)));
}

/** The `response` of the answer to `admission`. */
function answer(admission: Admission): Record<string, unknown> {
  const { answer: body } = review(request, () => admission);
  assert.deepEqual([body.apiVersion, body.kind], ["admission.k8s.io/v1", "AdmissionReview"]);
  return body.response as Record<string, unknown>;
}

describe("an admission review", () => {
  it("is read into what the injector goes by", () => {
    assert.deepEqual(read(envelope), request);
  });

  it("needs no more than a uid and a kind", () => {
    const bare = read({ ...envelope, request: { uid: "u", kind: { kind: "Pod" } } });
    assert.ok(typeof bare !== "string");
    assert.deepEqual([bare.namespace, bare.userName, bare.dryRun, bare.object], ["", "", false, null]);
  });

  const bad: readonly (readonly [string, unknown, RegExp])[] = [
    ["nothing", "", /the body is empty: want an AdmissionReview of admission\.k8s\.io\/v1 in JSON/],
    ["half of JSON", '{"kind":', /the body is no JSON object/],
    ["a list", [envelope], /the body is no JSON object/],
    ["another kind", { ...envelope, kind: "Pod" }, /kind: got "Pod", want "AdmissionReview"/],
    ["no kind", { ...envelope, kind: undefined }, /kind: got nothing/],
    [
      "v1beta1",
      { ...envelope, apiVersion: "admission.k8s.io/v1beta1" },
      /got "admission\.k8s\.io\/v1beta1", want .*v1"/,
    ],
    ["no request", { ...envelope, request: undefined }, /request: got nothing, want an object/],
    ["no uid", { ...envelope, request: { ...sent, uid: undefined } }, /request\.uid: got nothing/],
    ["an empty uid", { ...envelope, request: { ...sent, uid: "" } }, /request\.uid: got ""/],
    ["a number as uid", { ...envelope, request: { ...sent, uid: 1 } }, /request\.uid: got a JSON number/],
    ["no kind of object", { ...envelope, request: { ...sent, kind: null } }, /request\.kind: got a JSON null/],
  ];
  for (const [name, value, sentence] of bad) {
    it(`is refused with a sentence when it is ${name}`, () => {
      const told = read(value);
      assert.ok(typeof told === "string");
      assert.match(told, sentence);
    });
  }
});

describe("the answer to a review", () => {
  const allow = { kind: "allow", patch: null, reason: "not-enabled", warnings: [] } as const;
  const deny = { kind: "deny", message: "why not", code: 422, reason: "bad-port", warnings: [] } as const;

  it("has a patch only where there is something to change", () => {
    assert.deepEqual(answer(allow), { uid: "u-1", allowed: true });
    assert.deepEqual(answer({ ...allow, patch: [] }), { uid: "u-1", allowed: true });
    const patch = [{ op: "add", path: "/metadata/labels", value: { ü: "\u2028" } }];
    const { patchType, patch: text } = answer({ ...allow, patch });
    assert.equal(patchType, "JSONPatch");
    assert.deepEqual(JSON.parse(Buffer.from(String(text), "base64").toString()), patch);
  });

  it("carries a denial with code, reason and sentence", () => {
    const status = { code: 422, message: "why not", reason: "Invalid" };
    assert.deepEqual(answer(deny), { uid: "u-1", allowed: false, status });
    assert.deepEqual(answer({ ...deny, code: 418 }).status, { code: 418, message: "why not" });
    const { message } = answer({ ...deny, message: "x".repeat(10_000) }).status as { message: string };
    assert.equal(message.length, 4096);
  });

  it("has warnings as long and as many as the API server passes on, each on one line", () => {
    assert.deepEqual(answer({ ...allow, warnings: ["two\nlines", "ü\u0007\u0085!"] }).warnings, ["two lines", "ü !"]);
    const long = answer({ ...deny, warnings: Array.from({ length: 20 }, () => "🧺".repeat(300)) }).warnings as string[];
    assert.equal(long.length, 4096 / WARNING_MAX);
    assert.ok(long.every((text) => [...text].length === WARNING_MAX && text.endsWith("🧺…")));
  });

  it("tells what is to be counted", () => {
    const of = (admission: Admission): readonly string[] => {
      const { outcome, reason } = review(request, () => admission);
      return [outcome, reason];
    };
    assert.deepEqual(of(allow), ["skipped", "not-enabled"]);
    assert.deepEqual(of({ ...allow, reason: "injected", patch: [{ op: "remove", path: "/a" }] }), [
      "injected",
      "injected",
    ]);
    assert.deepEqual(of(deny), ["denied", "bad-port"]);
  });

  it("is a denial without a word of it when the injector throws", () => {
    const thrown = new Error("planted");
    const reviewed = review(request, () => {
      throw thrown;
    });
    assert.deepEqual([reviewed.outcome, reviewed.thrown], ["failed", thrown]);
    const { allowed, status } = reviewed.answer.response as { allowed: boolean; status: { code: number } };
    assert.deepEqual([allowed, status.code], [false, 500]);
    assert.equal(JSON.stringify(reviewed.answer).includes("planted"), false);
  });
});
