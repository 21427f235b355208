// A release of the chart on a real API server: what an upgrade keeps, what its roles allow, and an operator that lives by
// them. There is no node, so that the operator runs in this process.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHART } from "#charts/copies.ts";
import { helm } from "#charts/helm.ts";
import { eventually } from "#test/cli/pannier.ts";
import { type Bed, describeWithBed, sharedBed } from "#test/cluster/bed.ts";
import { installCrds, installDaprCrds } from "#test/cluster/crds.ts";
import { startReplica } from "#test/kube/whole-operator.ts";
import { type ChartWebhook, describeWithHelm, theHelm } from "./rendered.ts";

/** Six waits of 15 s, and Helm. */
const RELEASE_WITHIN_MS = 300_000;
const isGiven = (process.env.PANNIER_TEST_KUBECONFIG ?? "") !== "";

describeWithBed("the chart on a cluster", () => {
  describeWithHelm("a release of it", function () {
    this.timeout(RELEASE_WITHIN_MS);

    let bed: Bed;
    let namespace: string;
    let apps: string;
    let configuration: string;

    /** Rejects with what Helm says. */
    async function run(...args: string[]): Promise<string> {
      const flags = ["--namespace", namespace, "--kubeconfig", bed.kubeconfig];
      const { status, stdout, stderr } = await helm(theHelm(), [...args, ...flags]);
      if (status !== 0) throw new Error(stderr);
      return stdout;
    }

    /** Other tests share the cluster: CRDs are theirs, and pods of other namespaces are left alone. */
    const settings = (): string[] => [
      // The operator's Service leads nowhere, on some networks without an answer.
      ...["--set", "webhook.timeoutSeconds=1"],
      ...["--set", "crds.install=false", "--set", "admissionPolicy.action=Off", "--set", "cleanup.enabled=false"],
      ...["--set", `webhook.namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=${apps}`],
    ];

    const webhook = async (): Promise<ChartWebhook> =>
      JSON.parse(await bed.kubectl(["get", "mutatingwebhookconfiguration", configuration, "-o", "json"])).webhooks[0];

    before(async () => {
      bed = await sharedBed();
      namespace = await bed.namespace();
      apps = await bed.namespace();
      configuration = `shop-${namespace}`;
      await run("install", "shop", CHART, ...settings());
    });
    /** A test that ran into its limit goes on without us: an operator that starts then would wait for rights for ever. */
    const stopping = new AbortController();
    after(async () => {
      stopping.abort();
      await run("uninstall", "shop");
    });

    it("says what to do next, with commands", async () => {
      const notes = await run("get", "notes", "shop");
      assert.match(notes, /kubectl -n \S+ rollout status deployment\/pannier-operator/);
      assert.match(
        notes,
        /helm upgrade shop CHART --namespace \S+ --reset-then-reuse-values --set 'secrets.namespaces=\{NAME\}'/,
      );
      assert.doesNotMatch(notes, /WARNING/);
    });

    it("names the annotation that asks for a sidecar beside Dapr", async () => {
      const beside = ["--set", "webhook.daprAnnotation=false"];
      const notes = await run("upgrade", "shop", CHART, "--dry-run=server", ...settings(), ...beside);
      assert.match(notes, /kubectl patch deployment APP .*"pannier\.io\/enabled":"true"/);
    });

    it("says loudly when it fails open", async () => {
      const loud = /WARNING: the webhook's failurePolicy is Ignore[\s\S]*START WITHOUT A SIDECAR/;
      const open = ["--set", "webhook.failurePolicy=Ignore"];
      assert.match(await run("upgrade", "shop", CHART, "--dry-run=server", ...settings(), ...open), loud);
    });

    it("asks the operator about pods with the annotation, and about no others", async () => {
      // No operator runs here, so whoever is asked about is refused.
      await eventually("the webhook in force", async () => !(await isAdmitted({ "dapr.io/enabled": "true" })));
      assert.equal(await isAdmitted({ "pannier.io/enabled": "true" }), false);
      assert.equal(await isAdmitted({ "dapr.io/enabled": "TRUE" }), false);
      assert.equal(await isAdmitted({ "dapr.io/enabled": "false", "pannier.io/enabled": "true" }), false);
      assert.equal(await isAdmitted(undefined), true);
      assert.equal(await isAdmitted({ other: "true" }), true);
      for (const word of ["false", "yes", "", "true ", "untrue"])
        assert.equal(await isAdmitted({ "dapr.io/enabled": word }), true, JSON.stringify(word));
    });

    async function isAdmitted(annotations: Record<string, string> | undefined): Promise<boolean> {
      const metadata = { name: "app", namespace: apps, ...(annotations === undefined ? {} : { annotations }) };
      const pod = { apiVersion: "v1", kind: "Pod", metadata, spec: { containers: [{ name: "app", image: "app" }] } };
      const { status, stderr } = await bed.tryKubectl(["create", "--dry-run=server", "-f", "-"], JSON.stringify(pod));
      if (status !== 0) assert.match(stderr, /failed calling webhook "sidecar-injector\.pannier\.io"/);
      return status === 0;
    }

    it("keeps the caBundle that the operator wrote, through upgrade and rollback", async () => {
      const caBundle = Buffer.from(await someCertificate()).toString("base64");
      const webhooks = [{ name: "sidecar-injector.pannier.io", clientConfig: { caBundle } }];
      const applied = { apiVersion: "admissionregistration.k8s.io/v1", kind: "MutatingWebhookConfiguration", webhooks };
      const apply = ["apply", "--server-side", "--field-manager=pannier-webhook", "-f", "-"];
      await bed.kubectl(apply, JSON.stringify({ ...applied, metadata: { name: configuration } }));

      await run("upgrade", "shop", CHART, ...settings(), "--set", "webhook.timeoutSeconds=7");
      const upgraded = await webhook();
      assert.deepEqual([upgraded.timeoutSeconds, upgraded.clientConfig.caBundle], [7, caBundle]);
      await run("rollback", "shop", "1");
      const rolledBack = await webhook();
      assert.deepEqual([rolledBack.timeoutSeconds, rolledBack.clientConfig.caBundle], [1, caBundle]);
    });

    /** PEM: the cluster's own CA will do, since the API server only looks whether it is one. */
    async function someCertificate(): Promise<string> {
      const text = await bed.kubectl(["-n", namespace, "get", "configmap", "kube-root-ca.crt", "-o", "json"]);
      return JSON.parse(text).data["ca.crt"];
    }

    it("gives the operator what it needs and nothing near it", async () => {
      const kubeconfig = await operatorsKubeconfig();
      const as = (args: readonly string[], stdin?: string) =>
        bed.tryKubectl(["--kubeconfig", kubeconfig, ...args], stdin);
      const bundle = (name: string) =>
        as(
          ["apply", "--server-side", "--field-manager=pannier-trust", "-f", "-"],
          JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: apps } }),
        );
      const may = async (...words: string[]) => (await as(["auth", "can-i", ...words])).stdout.trim() === "yes";

      await eventually("rights in force", () => may("list", "pods", "-n", apps));
      // A server-side apply that creates asks for `create`, and for that a name does limit it.
      assert.equal((await bundle("pannier-trust-bundle")).status, 0);
      assert.match((await bundle("other")).stderr, /forbidden/i);
      assert.equal(await may("patch", `mutatingwebhookconfigurations/${configuration}`), true);
      assert.equal(await may("patch", "mutatingwebhookconfigurations/other"), false);
      assert.equal(await may("get", "secrets/pannier-ca", "-n", namespace), true);
      assert.equal(await may("get", "secrets/other", "-n", namespace), false);
      for (const verb of ["get", "list", "watch"]) assert.equal(await may(verb, "secrets", "-n", apps), false, verb);
      for (const verb of ["create", "update", "patch", "delete"])
        assert.equal(await may(verb, "pods", "-n", apps), false);
      assert.equal(await may("patch", "components.dapr.io", "-n", apps), false);

      await run("upgrade", "shop", CHART, ...settings(), "--set", `secrets.namespaces={${apps}}`);
      await eventually("the grant in force", () => may("watch", "secrets", "-n", apps));
      assert.equal(await may("get", "secrets/other", "-n", namespace), false);
    });

    function operatorsKubeconfig(): Promise<string> {
      const account = `system:serviceaccount:${namespace}:pannier-operator`;
      const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"];
      return bed.kubeconfigFor(account, groups);
    }

    it("gives the operator all that it asks for", async () => {
      await installCrds(bed);
      await run("upgrade", "shop", CHART, ...settings(), "--set", `secrets.namespaces={${apps}}`);
      const folder = await mkdtemp(join(tmpdir(), "pannier-release-"));
      const tokenFile = join(folder, "token");
      await writeFile(tokenFile, await bed.kubectl(["-n", namespace, "create", "token", "pannier-operator"]));
      const replica = await startReplica({
        kubeconfig: await operatorsKubeconfig(),
        namespace,
        podName: "pannier-operator-0",
        tokenFile,
        flags: await chartFlags(),
        stopping: stopping.signal,
      });
      try {
        await bed.kubectl(["-n", apps, "create", "secret", "generic", "redis", "--from-literal=password=x"]);
        await bed.kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items: wanted() }));
        const get = async (...words: string[]) => (await bed.tryKubectl(["get", ...words, "-o", "json"])).stdout;
        await eventually("the CA", async () => (await get("secret", "pannier-ca", "-n", namespace)) !== "");
        await eventually("the caBundle", async () => (await webhook()).clientConfig.caBundle !== undefined);
        await eventually("the Lease", async () =>
          /holderIdentity/.test(await get("lease", "pannier-operator", "-n", namespace)),
        );
        await eventually("the bundle", async () =>
          /ca\.crt/.test(await get("configmap", "pannier-trust-bundle", "-n", apps)),
        );
        await eventually("status", async () =>
          /"SecretsResolved"/.test(await get("component", "statestore", "-n", apps)),
        );
        await eventually("an Event", async () => /SecretNotFound/.test(await get("events", "-n", apps)));
        assert.equal(replica.operator.unready(), null);
        assert.deepEqual(
          replica.lines.filter((line) => /forbidden|\b403\b/i.test(line)),
          [],
        );
      } finally {
        await replica.operator.close();
        await rm(folder, { recursive: true });
      }
    });

    /** The flags of the Deployment, but those that only fit inside a pod. */
    async function chartFlags(): Promise<readonly string[]> {
      const deployment = JSON.parse(
        await bed.kubectl(["-n", namespace, "get", "deployment", "pannier-operator", "-o", "json"]),
      );
      const { args }: { args: readonly string[] } = deployment.spec.template.spec.containers[0];
      // The whole cluster is shared with other tests.
      return [...args.filter((flag) => !/-port=|^--drain-timeout=/.test(flag)), `--watch-namespaces=${apps}`];
    }

    /** Components with a secret that is there and one that is not, and a pod that has a sidecar. */
    function wanted(): readonly object[] {
      const component = (name: string, secret: string): object => ({
        apiVersion: "dapr.io/v1alpha1",
        kind: "Component",
        metadata: { name, namespace: apps },
        spec: {
          type: "state.redis",
          version: "v1",
          metadata: [
            { name: "redisHost", value: "redis:6379" },
            { name: "redisPassword", secretKeyRef: { name: secret, key: "password" } },
          ],
        },
      });
      const labels = { "dapr.io/sidecar-injected": "true", "dapr.io/app-id": "orders" };
      const metadata = { name: "orders", namespace: apps, labels, annotations: { "pannier.io/injected-by": "0.1.0" } };
      const spec = { containers: [{ name: "daprd", image: "pannier:0.1.0" }] };
      return [
        component("statestore", "redis"),
        component("lost", "none"),
        { apiVersion: "v1", kind: "Pod", metadata, spec },
      ];
    }

    (isGiven ? it.skip : it)(
      `takes over Dapr's CRDs, and keeps them through \`helm uninstall\`${isGiven ? " (not run: the cluster is not ours)" : ""}`,
      async () => {
        await installDaprCrds(bed);
        try {
          const other = ["other", CHART, "--set", "admissionPolicy.action=Off", "--set", "cleanup.enabled=false"];
          const elsewhere = ["--namespace", apps, "--kubeconfig", bed.kubeconfig];
          const refused = await helm(theHelm(), ["install", ...other, ...elsewhere]);
          assert.match(refused.stderr, /components\.dapr\.io.*cannot be imported/);
          assert.equal((await helm(theHelm(), ["install", ...other, "--take-ownership", ...elsewhere])).status, 0);
          await eventually("a status", async () =>
            (await bed.kubectl(["get", "--raw", "/apis/dapr.io/v1alpha1"])).includes('"components/status"'),
          );
          assert.equal((await helm(theHelm(), ["uninstall", "other", ...elsewhere])).status, 0);
          assert.match(await bed.kubectl(["get", "customresourcedefinitions", "-o", "name"]), /components\.dapr\.io/);
        } finally {
          await installCrds(bed);
        }
      },
    );
  });
});
