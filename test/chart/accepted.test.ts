// The chart's objects on a real API server: it accepts them, and the pods among them do what they are for. Nothing runs
// here: there is no node.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT } from "#charts/copies.ts";
import { MANIFEST } from "#charts/helm.ts";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import { matrix } from "./matrix.ts";
import { describeWithHelm, type KubeManifest, only, render } from "./rendered.ts";

const DRY_RUN = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
const LIST = { apiVersion: "v1", kind: "List" };
const HELM_WITHIN_MS = 180_000;

describeWithBed("what the chart renders", () => {
  describeWithHelm("with Helm", function () {
    this.timeout(HELM_WITHIN_MS);

    let bed: Bed;
    let namespace: string;

    before(async () => {
      bed = await sharedBed();
      namespace = await bed.namespace();
    });

    /** Gives what kubectl says. */
    const dryRun = (items: readonly object[]): Promise<string> =>
      bed.kubectl(DRY_RUN, JSON.stringify({ ...LIST, items }));

    for (const [index, { name }] of matrix("").entries()) {
      it(`is accepted: ${name}`, async () => {
        const row = matrix(namespace)[index];
        assert.ok(row !== undefined);
        const options = row.kubeVersion === undefined ? { namespace } : { namespace, kubeVersion: row.kubeVersion };
        const objects = await render(row.values, options);
        // Kinds of an operator that is not here.
        const known = objects.filter(({ apiVersion }) => apiVersion !== "monitoring.coreos.com/v1");
        const said = await dryRun(known);
        assert.equal(said.trimEnd().split("\n").length, known.length);
      });
    }

    it("is accepted without Helm", async () => {
      const text = await readFile(ROOT + MANIFEST, "utf8");
      assert.match(
        await bed.kubectl(DRY_RUN, text.replaceAll("pannier-system", namespace)),
        /deployment.apps\/pannier-op/,
      );
    });

    it("makes pods that the restricted Pod Security Standard admits", async () => {
      const strict = await bed.namespace();
      await bed.kubectl(["label", "namespace", strict, "pod-security.kubernetes.io/enforce=restricted"]);
      const objects = await render({}, { namespace: strict });
      await bed.kubectl(["-n", strict, "create", "serviceaccount", "pannier-operator"]);
      await bed.kubectl(["-n", strict, "create", "serviceaccount", "pannier-cleanup"]);
      const pods = [
        podOf(only(objects, "Deployment"), "operator"),
        podOf(only(objects, "Job"), "cleanup"),
        only(objects, "Pod"),
      ];
      assert.match(
        await bed.kubectl(["-n", strict, ...DRY_RUN], JSON.stringify({ ...LIST, items: pods })),
        /pod\/operator/,
      );
    });

    it("takes away what the operator made, when the release is gone", async () => {
      const folder = await mkdtemp(join(tmpdir(), "pannier-cleanup-"));
      try {
        const objects = await render({}, { namespace });
        const ofHook = objects.filter(({ metadata }) => metadata.name === "pannier-cleanup");
        const job = only(ofHook, "Job");
        const rights = ofHook.filter((each) => each !== job);
        await bed.kubectl(["apply", "-f", "-"], JSON.stringify({ ...LIST, items: rights }));
        for (const made of ["secret generic pannier-ca", "secret generic other"])
          await bed.kubectl(["-n", namespace, "create", ...made.split(" ")]);
        const lease = {
          apiVersion: "coordination.k8s.io/v1",
          kind: "Lease",
          metadata: { name: "pannier-operator", namespace },
        };
        await bed.kubectl(["apply", "-f", "-"], JSON.stringify(lease));

        const env = await jobEnvironment(folder);
        const [container] = job.spec.template.spec.containers;
        const [, ...flags] = container.command;
        const clean = () => promisify(execFile)(process.execPath, [...flags, ...container.args], { env });
        assert.match((await clean()).stdout, /pannier-ca: 200\n.*pannier-operator: 200\n/);
        assert.equal((await bed.kubectl(["-n", namespace, "get", "secret", "-o", "name"])).trim(), "secret/other");
        assert.match((await clean()).stdout, /pannier-ca: 404\n/);
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    /** What the Job's process finds: the API server's address, its CA and a token of the Job's own account. */
    async function jobEnvironment(folder: string): Promise<Record<string, string>> {
      const kubeconfig = JSON.parse(await bed.kubectl(["config", "view", "--raw", "--flatten", "-o", "json"]));
      const { server, "certificate-authority-data": ca } = kubeconfig.clusters[0].cluster;
      const { hostname, port } = new URL(server);
      const [caFile, tokenFile] = [join(folder, "ca.crt"), join(folder, "token")];
      await writeFile(caFile, Buffer.from(ca, "base64"));
      await writeFile(tokenFile, await bed.kubectl(["-n", namespace, "create", "token", "pannier-cleanup"]));
      return {
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        NODE_EXTRA_CA_CERTS: caFile,
        TOKEN_FILE: tokenFile,
        NAMESPACE: namespace,
      };
    }
  });
});

/** The pod that a controller makes of its template. */
function podOf({ metadata, spec }: KubeManifest, name: string): object {
  const { namespace } = metadata;
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace }, spec: spec.template.spec };
}
