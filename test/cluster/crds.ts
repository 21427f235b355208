// Puts custom resources into a test's cluster: Pannier's own from crds/, or ones of the shape that Dapr's have, and waits
// until the API server serves them. They belong to the whole cluster: whoever puts in Dapr's puts ours back.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { load } from "js-yaml";
import type { Bed } from "./bed.ts";

export const CRD_FOLDER: string = fileURLToPath(new URL("../../crds/", import.meta.url));
export const POLICY_FILE: string = join(CRD_FOLDER, "admission-policy.yaml");

export const KINDS = { components: "Component", resiliencies: "Resiliency", configurations: "Configuration" } as const;
export type Plural = keyof typeof KINDS;
/** A resource as text that kubectl takes. */
export function manifest(plural: Plural, rest: object, name = "example"): string {
  return JSON.stringify({ apiVersion: "dapr.io/v1alpha1", kind: KINDS[plural], metadata: { name }, ...rest });
}

export const PLURALS: readonly Plural[] = ["components", "resiliencies", "configurations"];

/** As far as these tests go by it. */
export interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

const SERVED_WITHIN_MS = 120_000;
const POLL_MS = 100;
/** One owner for either shape, so that what the other has and this one has not goes away. */
const APPLY = ["apply", "--server-side", "--force-conflicts", "--field-manager=pannier-test", "-f"];

/** Pannier's custom resources, with their status. Resolves at once when they are in place already. */
export async function installCrds(bed: Bed): Promise<void> {
  for (const plural of PLURALS) await bed.kubectl([...APPLY, join(CRD_FOLDER, `${plural}.yaml`)]);
  await untilServed(bed, true);
}

/** Custom resources as Dapr 1.18 installs them: no status, no columns, no short names, no rules. */
export async function installDaprCrds(bed: Bed): Promise<void> {
  for (const plural of PLURALS) await bed.kubectl([...APPLY, "-"], JSON.stringify(daprCrd(plural)));
  await untilServed(bed, false);
}

/** The policies that warn. It can take the API server a few seconds to go by them. */
export async function installAdmissionPolicy(bed: Bed): Promise<void> {
  await bed.kubectl([...APPLY, POLICY_FILE]);
}

/** Both are in the list of what the API server serves, which follows a change a moment later. */
async function untilServed(bed: Bed, hasStatus: boolean): Promise<void> {
  const end = Date.now() + SERVED_WITHIN_MS;
  for (const plural of PLURALS) {
    while (!(await isServed(bed, plural, hasStatus))) {
      if (Date.now() > end)
        throw new Error(`${plural}.dapr.io are not served ${hasStatus ? "with" : "without"} a status`);
      await pause(POLL_MS);
    }
  }
}

async function isServed(bed: Bed, plural: Plural, hasStatus: boolean): Promise<boolean> {
  const { stdout, status } = await bed.tryKubectl(["get", "--raw", "/apis/dapr.io/v1alpha1"]);
  if (status !== 0) return false;
  const served: readonly string[] = JSON.parse(stdout).resources.map(({ name }: { readonly name: string }) => name);
  return served.includes(plural) && served.includes(`${plural}/status`) === hasStatus;
}

// --- Dapr's -----------------------------------------------------------------------------------

type Outline = string | readonly Outline[] | { readonly [name: string]: Outline };

/** The schema of Dapr's resource, made from dapr-crds.yaml. */
export function daprSchema(plural: Plural): Schema {
  const path = new URL("dapr-crds.yaml", import.meta.url);
  const outlines = load(readFileSync(path, "utf8")) as Readonly<Record<Plural, Outline>>;
  return schemaOf(outlines[plural]);
}

function schemaOf(outline: Outline): Schema {
  if (typeof outline === "string") return scalarSchema(outline);
  if (Array.isArray(outline)) return { type: "array", items: schemaOf(outline[0]) };
  const entries = Object.entries(outline);
  const [first] = entries;
  if (first?.[0] === "<name>") return { type: "object", additionalProperties: schemaOf(first[1]) };
  const required = entries.flatMap(([name]) => (name.endsWith("*") ? [name.slice(0, -1)] : []));
  const properties = Object.fromEntries(entries.map(([name, each]) => [name.replace(/\*$/, ""), schemaOf(each)]));
  return { type: "object", properties, ...(required.length === 0 ? {} : { required }) };
}

function scalarSchema(word: string): Schema {
  if (word === "any") return { "x-kubernetes-preserve-unknown-fields": true };
  if (word === "json") return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  if (word === "jwks") return { type: "string", enum: [word] };
  return { type: word };
}

function daprCrd(plural: Plural): object {
  const kind = KINDS[plural];
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.dapr.io`, labels: { "app.kubernetes.io/part-of": "dapr" } },
    spec: {
      group: "dapr.io",
      scope: "Namespaced",
      names: { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase() },
      versions: [{ name: "v1alpha1", served: true, storage: true, schema: { openAPIV3Schema: daprSchema(plural) } }],
    },
  };
}
