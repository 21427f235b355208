// The chart as Helm renders it for some values, as objects. Knows no cluster.
import assert from "node:assert/strict";
import { loadAll } from "js-yaml";
import { CHART } from "#charts/copies.ts";
import { findHelm, helm } from "#charts/helm.ts";
import { isRequired } from "#test/servers/required.ts";

/** What tests look into, as the kinds have it; a member that a kind lacks fails the test that asks for it. */
interface Loose {
  readonly [member: string]: unknown;
}

export interface ChartContainer extends Loose {
  readonly image: string;
  readonly args: readonly string[];
  readonly command: readonly string[];
}

interface ChartPod extends Loose {
  readonly containers: readonly [ChartContainer, ...ChartContainer[]];
  readonly securityContext: Loose;
}

interface Expressions {
  readonly matchExpressions: readonly [{ readonly values: readonly string[] }, ...unknown[]];
}

export interface ChartWebhook extends Loose {
  readonly failurePolicy: string;
  readonly timeoutSeconds: number;
  readonly clientConfig: { readonly caBundle?: string };
  readonly namespaceSelector: Expressions;
  readonly matchConditions: readonly [{ readonly expression: string }, ...unknown[]];
}

interface ChartSpec extends Loose {
  readonly template: Loose & { readonly spec: ChartPod };
  readonly validationActions: readonly string[];
  readonly policyName: string;
  /** Of a Pod. */
  readonly securityContext: Loose;
  readonly matchResources: { readonly namespaceSelector: Expressions };
  /** Of a Certificate. */
  readonly secretName: string;
  readonly dnsNames: readonly string[];
}

export interface KubeManifest extends Loose {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec: ChartSpec;
  readonly webhooks: readonly [ChartWebhook, ...ChartWebhook[]];
  readonly rules: readonly Readonly<Record<string, readonly string[]>>[];
  readonly roleRef?: { readonly name: string };
}

export interface RenderOptions {
  readonly namespace?: string;
  readonly kubeVersion?: string;
}

/** Why there is no Helm, and what to do about it; null when there is one or has to be. */
export function helmMissing(): string | null {
  if (isRequired("helm") || findHelm() !== null) return null;
  return "no Helm 3: `test/cluster/build.sh helm` compiles one";
}

export function describeWithHelm(title: string, body: (this: Mocha.Suite) => void): void {
  const missing = helmMissing();
  if (missing === null) describe(title, body);
  else describe.skip(`${title} (not run: ${missing})`, body);
}

export function theHelm(): string {
  const program = findHelm();
  if (program === null) throw new Error("no Helm 3: `test/cluster/build.sh helm` compiles one");
  return program;
}

/** What `helm template` prints for release "pannier". Rejects with what Helm says. */
export async function renderText(values: object = {}, options: RenderOptions = {}): Promise<string> {
  const { namespace = "pannier-system", kubeVersion = "1.34.1" } = options;
  const args = ["template", "pannier", CHART, "--namespace", namespace, "--kube-version", kubeVersion, "--values", "-"];
  const { status, stdout, stderr } = await helm(theHelm(), args, { input: JSON.stringify(values) });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

export async function render(values: object = {}, options: RenderOptions = {}): Promise<readonly KubeManifest[]> {
  const objects = loadAll(await renderText(values, options)) as readonly (KubeManifest | null | undefined)[];
  return objects.filter((each) => each !== null && each !== undefined);
}

/** The only object of this kind, or of this kind and name. */
export function only(objects: readonly KubeManifest[], kind: string, name?: string): KubeManifest {
  const [found, ...more] = objects.filter(
    (each) => each.kind === kind && (name === undefined || each.metadata.name === name),
  );
  assert.ok(found !== undefined, `no ${kind} ${name ?? ""}`);
  assert.deepEqual(more, []);
  return found;
}

/** The operator's container. */
export function operatorContainer(objects: readonly KubeManifest[]): ChartContainer {
  return only(objects, "Deployment").spec.template.spec.containers[0];
}
