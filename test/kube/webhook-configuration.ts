// What the tests of webhook and certificates need of a cluster: a webhook for the pods of one namespace, and such pods.
import type { Bed } from "../cluster/bed.ts";

export interface WebhookPlace {
  readonly name: string;
  readonly namespace: string;
  readonly port: number;
}

/** As the chart makes it, but called by a URL on this machine, and without caBundle. Only pods of the namespace count. */
export function configurationOf({ name, namespace, port }: WebhookPlace): Readonly<Record<string, unknown>> {
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name },
    webhooks: [
      {
        name: "injector.pannier.io",
        clientConfig: { url: `https://localhost:${port}/mutate` },
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
        failurePolicy: "Fail",
        sideEffects: "None",
        timeoutSeconds: 30,
        admissionReviewVersions: ["v1"],
      },
    ],
  };
}

export function podOf(name: string): Readonly<Record<string, unknown>> {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { containers: [{ name: "app", image: "none" }] },
  };
}

export async function create(bed: Bed, object: unknown): Promise<void> {
  await bed.kubectl(["create", "-f", "-"], JSON.stringify(object));
}

/** A configuration of admission belongs to no namespace, so it does not go with one. */
export async function removeConfiguration(bed: Bed, name: string): Promise<void> {
  await bed.kubectl(["delete", "mutatingwebhookconfiguration", name, "--ignore-not-found"]);
}

const UNTIL_MS = 60_000;
const POLL_MS = 50;

/** Resolves once it holds; rejects after a minute with what it came to last. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + UNTIL_MS;
  let last: unknown = "it does not hold";
  while (Date.now() < endMs) {
    try {
      if (await holds()) return;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${what}: not within ${UNTIL_MS} ms`, { cause: last });
}
