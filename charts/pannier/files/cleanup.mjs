// What `helm uninstall` runs last, in the cluster: takes away what the operator made for itself and Helm knows nothing of.
// The trust bundles are not among it: they belong to the webhook configuration and go with it.
import { readFileSync } from "node:fs";

const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, TOKEN_FILE, NAMESPACE } = process.env;
const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
const headers = { authorization: `Bearer ${readFileSync(TOKEN_FILE, "utf8").trim()}` };
const TIMEOUT_MS = 10_000;

for (const path of [
  `/api/v1/namespaces/${NAMESPACE}/secrets/pannier-ca`,
  `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases/pannier-operator`,
]) {
  const answer = await fetch(server + path, { method: "DELETE", headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  // Gone already is as good.
  if (!answer.ok && answer.status !== 404) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  process.stdout.write(`${path}: ${answer.status}\n`);
}
