// The schemas of the custom resources in crds/, read as they stand: nothing of Dapr's is missing, nothing is unexplained.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { load } from "js-yaml";
import { SECRET_STORES } from "#sidecar/secrets/registry.ts";
import { STORE_TYPE_NAMES } from "#sidecar/stores/registry.ts";
import { CRD_FOLDER, daprSchema, PLURALS, type Plural, POLICY_FILE, type Schema } from "../cluster/crds.ts";

interface Version {
  readonly schema: { readonly openAPIV3Schema: Schema };
}

function ownSchema(plural: Plural): Schema {
  const crd = load(readFileSync(join(CRD_FOLDER, `${plural}.yaml`), "utf8")) as { spec: { versions: [Version] } };
  return crd.spec.versions[0].schema.openAPIV3Schema;
}

/** Each schema below this one, with its path: "spec.metadata[].name", "spec.policies.retries.*.policy". */
function membersOf(schema: Schema, path = ""): readonly (readonly [string, Schema])[] {
  const named = Object.entries(schema.properties ?? {}).map(
    ([name, each]) => [path === "" ? name : `${path}.${name}`, each] as const,
  );
  const inner = [...named];
  if (schema.items) inner.push([`${path}[]`, schema.items]);
  if (schema.additionalProperties) inner.push([`${path}.*`, schema.additionalProperties]);
  return inner.flatMap(([at, each]) => [[at, each] as const, ...membersOf(each, at)]);
}

/** What decides of an object's shape whether it is taken, and what of it is kept. */
function shapeOf({ type, enum: words, items, properties, ...rest }: Schema): object {
  const keepsAll = rest["x-kubernetes-preserve-unknown-fields"] === true;
  return { type, words, keepsAll, hasItems: items !== undefined, hasMembers: properties !== undefined };
}

/** What else could make an object be refused. */
const NARROWING = ["pattern", "format", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"];
/** The rules for what cannot work, whatever sidecar reads it; admission-policy.yaml is the place for anything less. */
const RULES = ["components: spec.type", "configurations: spec.tracing.otel"];

describe("custom resources", () => {
  for (const plural of PLURALS) {
    const own = new Map(membersOf(ownSchema(plural)));

    it(`have every field of Dapr's ${plural} in its shape, and require no more`, () => {
      const daprs = membersOf(daprSchema(plural));
      assert.ok(daprs.length > 15);
      for (const [path, schema] of daprs) {
        const ours = own.get(path);
        assert.ok(ours, `${plural}: ${path} is missing`);
        assert.deepEqual(shapeOf(ours), shapeOf(schema), `${plural}: ${path}`);
        const more = (ours.required ?? []).filter((name) => !schema.required?.includes(name));
        assert.deepEqual(more, [], `${plural}: ${path}`);
        // Of numbers, Dapr's own are of 32 bits.
        const narrower = NARROWING.filter((keyword) => keyword in ours && ours[keyword] !== "int32");
        assert.deepEqual(narrower, [], `${plural}: ${path}`);
        const hasRules = "x-kubernetes-validations" in ours;
        assert.equal(hasRules, RULES.includes(`${plural}: ${path}`), `${plural}: ${path}`);
      }
    });

    it(`say something about every field of ${plural}`, () => {
      // Kubernetes takes no description of an object's own metadata.
      const silent = [...own].filter(
        ([path, { description }]) => path !== "metadata" && !/^\S.*\S$/.test(description ?? ""),
      );
      assert.deepEqual(
        silent.map(([path]) => path),
        [],
      );
    });
  }

  it("are warned about by a policy that knows the stores that there are", () => {
    const policy = readFileSync(POLICY_FILE, "utf8");
    for (const name of [...STORE_TYPE_NAMES, ...SECRET_STORES.map(({ type }) => type)])
      assert.ok(policy.includes(`'${name}'`), name);
    const named = new Set([...policy.matchAll(/'((?:state|secretstores)\.[a-z0-9.-]+)'/g)].map((match) => match[1]));
    assert.equal(named.size, STORE_TYPE_NAMES.length + SECRET_STORES.length);
  });
});
