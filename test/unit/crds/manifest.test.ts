// YAML text to documents with lines, and what is wrong with it.
import assert from "node:assert/strict";
import { EXPANDED_BYTES_MAX, PATH_LENGTH_MAX } from "#crds/compose.ts";
import { DOCUMENTS_MAX, MANIFEST_BYTES_MAX, type Manifest, readManifest } from "#crds/manifest.ts";

function values(text: string): unknown[] {
  const manifest = readManifest(text);
  assert.deepEqual(manifest.faults, []);
  return manifest.documents.map((document) => document.value);
}

function onlyFault(manifest: Manifest): { line: number; want: string } {
  assert.equal(manifest.faults.length, 1);
  const [placed] = manifest.faults;
  assert.ok(placed);
  return { line: placed.line, want: placed.fault.want };
}

describe("a manifest", () => {
  it("holds several documents and skips the empty ones", () => {
    assert.deepEqual(values("# first\n\n---\na: 1\n---\n---\n# only a remark\n---\nb: 2\n"), [{ a: 1 }, { b: 2 }]);
  });

  it("skips directives and takes any line of dashes as a border, as Dapr does", () => {
    assert.deepEqual(values("%YAML 1.1\n---\na: 1\n-------\nb: 2\n--- # remark\nc: 3"), [{ a: 1 }, { b: 2 }, { c: 3 }]);
  });

  it("reads JSON, a byte order mark and Windows line ends", () => {
    assert.deepEqual(values('\uFEFF{\n\t"a": [1, {"b": null}]\n}'), [{ a: [1, { b: null }] }]);
    assert.deepEqual(values("a: 1\r\n---\r\nb: x\r\n"), [{ a: 1 }, { b: "x" }]);
  });

  it("knows the line of each path, and of the nearest node for one that is not there", () => {
    const [, document] = readManifest("a: 1\n---\nspec:\n  metadata:\n  - name: x\n    value:\n      y\n").documents;
    assert.ok(document);
    assert.equal(document.line, 3);
    assert.equal(document.lineOf("spec.metadata[0].name"), 5);
    assert.equal(document.lineOf("spec.metadata[0].value"), 6);
    assert.equal(document.lineOf("spec.metadata[7].value"), 4);
    assert.equal(document.lineOf("auth.secretStore"), 3);
  });

  it("names line and column of a syntax error and still reads the other documents", () => {
    const manifest = readManifest("a: 1\n---\nb: [1\nc: 2\n---\nd: 4\n");
    assert.deepEqual(
      manifest.documents.map(({ value }) => value),
      [{ a: 1 }, { d: 4 }],
    );
    const { line, want } = onlyFault(manifest);
    assert.equal(line, 4);
    assert.match(want, /line 4, column 1/);
  });

  it("never repeats the text around a mistake", () => {
    for (const text of [
      "a: *hunter2",
      "a: !hunter2!x b",
      "a: !<hunter2> {",
      "a: 'hunter2",
      'a: "hunter2',
      "a: [hunter2",
      "a: %hunter2",
    ]) {
      const manifest = readManifest(text);
      assert.equal(manifest.faults.length, 1, text);
      assert.doesNotMatch(JSON.stringify(manifest), /hunter2/, text);
    }
  });

  it("fills in aliases and merge keys; what a mapping says itself comes first", () => {
    const [value] = values("base: &b {x: 1, v: 2}\nother: &o {v: 3, z: 4}\nall:\n  <<: [*b, *o]\n  x: 9\ncopv: *b");
    assert.deepEqual(value, {
      base: { x: 1, v: 2 },
      other: { v: 3, z: 4 },
      all: { x: 9, v: 2, z: 4 },
      copv: { x: 1, v: 2 },
    });
  });

  it("calls a key that is given twice an error at its second place", () => {
    const [document] = readManifest("a: 1\nb: 2\na: 3\n").documents;
    assert.deepEqual(
      document?.faults.map(({ fault, line }) => [fault.severity, fault.field, line]),
      [["error", "a", 3]],
    );
  });

  it("calls an infinity an error: JSON has no word for it", () => {
    const [document] = readManifest("a: .inf\n").documents;
    assert.deepEqual(
      document?.faults.map(({ fault }) => [fault.severity, fault.field]),
      [["error", "a"]],
    );
  });

  it("follows explicit tags", () => {
    assert.deepEqual(values("a: !!str 12\nb: !!int '12'\nc: !mine 12\nd: !!binary aGk="), [
      { a: "12", b: 12, c: "12", d: "hi" },
    ]);
  });

  it("lists plain scalars whose text changes, not quoted ones", () => {
    const [document] = readManifest(
      `a: 0123\nb: "0123"\nc: true\nd: yes\ne: 9007199254740993\nf: 2024-01-01`,
    ).documents;
    assert.deepEqual(document?.respelled, [
      { path: "a", written: "0123", read: "83", here: true },
      { path: "d", written: "yes", read: "true", here: true },
      { path: "e", written: "9007199254740993", read: "9007199254740992", here: false },
    ]);
  });

  it("keeps a member named __proto__ an ordinary one", () => {
    const [value] = values("__proto__: {polluted: true}\n");
    assert.deepEqual(Object.keys(Object(value)), ["__proto__"]);
    assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
  });

  it("refuses too many bytes, documents, levels and repeated nodes", () => {
    assert.match(onlyFault(readManifest(`a: ${"x".repeat(MANIFEST_BYTES_MAX)}`)).want, /at most 1048576 bytes/);
    assert.match(onlyFault(readManifest("---\na: 1\n".repeat(DOCUMENTS_MAX + 1))).want, /at most 200 documents/);
    assert.match(onlyFault(readManifest(`a: ${"[".repeat(40)}${"]".repeat(40)}`)).want, /nesting/);
    const levels = Array.from({ length: 9 }, (_, n) => `l${n + 1}: &l${n + 1} [${`*l${n}, `.repeat(9)}]`);
    assert.match(onlyFault(readManifest(`l0: &l0 [x]\n${levels.join("\n")}\n`)).want, /at most 20000 nodes/);
  });

  it("refuses a small file that aliases make a large one, and says at which alias", () => {
    const big = "x".repeat(EXPANDED_BYTES_MAX / 4);
    for (const repeated of [
      `"${big}"`,
      `{ k: "${big}" }`,
      `{ "${big.slice(0, 1000)}": [${`"${big.slice(0, 1000)}", `.repeat(300)}] }`,
    ]) {
      const { line } = onlyFault(readManifest(`a: &a ${repeated}\nb: *a\nc: *a\nd:\n- *a\n- *a\n`));
      assert.ok(line > 2 && line < 7, `line ${line}`);
    }
    assert.deepEqual(readManifest(`a: &a "${big}"\nb: *a\nc: *a\n`).faults, []);
  });

  it("counts what a merge key repeats", () => {
    const half = "x".repeat(EXPANDED_BYTES_MAX / 2);
    const { line, want } = onlyFault(readManifest(`a: &a { k: "${half}" }\nb: { <<: *a }\nc:\n  <<: *a\n`));
    assert.match(want, /at most 1048576 bytes/);
    assert.ok(line === 2 || line === 4, `line ${line}`);
  });

  it("holds all documents of a file together to the limit, and keeps those that are within", () => {
    const part = "x".repeat(EXPANDED_BYTES_MAX / 8);
    const { documents, faults } = readManifest(`---\na: &a "${part}"\nb: [*a, *a]\n`.repeat(3));
    assert.equal(documents.length, 2);
    assert.deepEqual(
      faults.map(({ line }) => line),
      [9],
    );
  });

  it("refuses a path that is too long, which each node below would repeat", () => {
    const long = "k".repeat(PATH_LENGTH_MAX - 2);
    assert.deepEqual(readManifest(`x: 1\n${long}:\n  a: 1\n`).faults, []);
    assert.equal(onlyFault(readManifest(`x: 1\n${long}:\n  ab: 1\n`)).line, 3);
  });
});
