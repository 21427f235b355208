// Certificates on a real API server: the Secret that replicas share, the fields that are ours, rotation under traffic.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, systemClock, type Timer } from "#kit/clock.ts";
import { type Authority, openAuthority } from "#operator/certificates/authority.ts";
import { DAY_MS, splitPem } from "#operator/certificates/authority-state.ts";
import { CaBundle } from "#operator/certificates/ca-bundle.ts";
import { openFiles } from "#operator/certificates/files.ts";
import { issueAuthority, issueLeaf } from "#operator/certificates/issue.ts";
import type { CertificateSource } from "#operator/certificates/source.ts";
import { TrustBundles } from "#operator/certificates/trust-bundles.ts";
import type { KubeClient } from "#operator/kube/client.ts";
import { openKubeClient } from "#operator/kube/http-client.ts";
import { startWebhook, type Webhook } from "#operator/webhook/server.ts";
import { handshake } from "#test/unit/operator/certificates/handshake.ts";
import { keepLog } from "#test/unit/operator/certificates/log-lines.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { configurationOf, create, podOf, removeConfiguration, until } from "./webhook-configuration.ts";

const HOUR_MS = 3_600_000;
const never = new AbortController().signal;
const ignore = (): (() => void) => () => undefined;

/** Runs faster than the world by a factor, and can jump. */
class FastClock implements Clock {
  readonly #factor: number;
  #baseMs: number;

  constructor(startMs: number, factor: number) {
    this.#factor = factor;
    this.#baseMs = startMs;
  }

  nowMs(): number {
    return this.#baseMs + this.monotonicMs();
  }

  monotonicMs(): number {
    return performance.now() * this.#factor;
  }

  after(delayMs: number, task: () => void): Timer {
    return systemClock.after(delayMs / this.#factor, task);
  }

  jump(ms: number): void {
    this.#baseMs += ms;
  }
}

describeWithBed("certificates in a cluster", () => {
  let bed: Bed;
  let client: KubeClient;
  let namespace: string;
  let name: string;
  const kept = keepLog();
  const { log } = kept;
  const open: { close(): Promise<void> }[] = [];
  const opened = <T extends { close(): Promise<void> }>(what: T): T => {
    open.push(what);
    return what;
  };
  before(async () => {
    bed = await sharedBed();
    client = openKubeClient({ kubeconfig: bed.kubeconfig, clock: systemClock });
  });
  beforeEach(async () => {
    namespace = await bed.namespace();
    name = `pannier-${namespace}`;
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((each) => each.close()));
    await removeConfiguration(bed, name);
  });
  after(() => client?.close());

  const authority = async (options: Partial<Parameters<typeof openAuthority>[0]> = {}): Promise<Authority> =>
    opened(
      await openAuthority(
        {
          client,
          namespace,
          names: ["localhost"],
          mayRotate: () => true,
          isPublished: () => true,
          clock: systemClock,
          log,
          ...options,
        },
        never,
      ),
    );
  const caBundleIn = async (): Promise<string> => {
    // Not by kubectl, which on a busy machine takes so long that what it tells is of before.
    const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${name}`;
    const { webhooks } = await client.request<{
      readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
    }>({ method: "GET", path });
    return Buffer.from(webhooks[0]?.clientConfig.caBundle ?? "", "base64").toString();
  };
  const keepCaBundle = (source: CertificateSource, clock: Clock = systemClock): CaBundle =>
    opened(new CaBundle({ client, name, source, mayWrite: () => true, clock, log }));
  const admit = async (pod: string): Promise<void> => {
    await client.request({
      method: "POST",
      path: `/api/v1/namespaces/${namespace}/pods`,
      query: { dryRun: "All" },
      body: podOf(pod),
    });
  };
  const webhook = async (source: CertificateSource): Promise<Webhook> => {
    const metrics = { admitted: ignore };
    const decide = () => ({ kind: "allow", patch: null, reason: "not-enabled", warnings: [] }) as const;
    const started = await startWebhook({
      source,
      admit: decide,
      port: 0,
      drainMs: 0,
      metrics,
      clock: systemClock,
      log,
    });
    opened({ close: () => started.drain() });
    await create(bed, configurationOf({ name, namespace, port: started.port }));
    return started;
  };

  it("has one CA for replicas that start at the same time, and for one that comes later", async () => {
    const replicas = await Promise.all(Array.from({ length: 5 }, () => authority()));
    const anchors = new Set([...replicas, await authority()].map(({ trustAnchors }) => trustAnchors));
    assert.equal(anchors.size, 1);
    const labels = ["get", "secret", "-n", namespace, "-l", "app.kubernetes.io/part-of=pannier", "-o", "name"];
    assert.equal(await bed.kubectl(labels), "secret/pannier-ca\n");
  });

  it("rotates when a person annotates the Secret", async () => {
    const rotating = await authority();
    await bed.kubectl(["-n", namespace, "annotate", "secret", "pannier-ca", "pannier.io/rotate=now"]);
    await rotating.look();
    assert.equal(splitPem(rotating.trustAnchors)?.length, 2);
    const shown = await bed.kubectl(["-n", namespace, "get", "secret", "pannier-ca", "-o", "yaml"]);
    assert.equal(shown.includes("pannier.io/rotate"), false);
    assert.match(shown, /next\.key: /);
  });

  it("owns the caBundle of the configuration and nothing else of it, and repairs it", async () => {
    const source = await authority();
    await webhook(source);
    const before = JSON.parse(await bed.kubectl(["get", "mutatingwebhookconfiguration", name, "-o", "json"]));
    const bundle = keepCaBundle(source);
    await bundle.check();
    assert.equal(await caBundleIn(), source.trustAnchors);
    const shown = ["get", "mutatingwebhookconfiguration", name, "-o", "json", "--show-managed-fields"];
    const after = JSON.parse(await bed.kubectl(shown));
    const ours = after.metadata.managedFields.find(({ manager }: { manager: string }) => manager === "pannier-webhook");
    assert.deepEqual(ours.fieldsV1, {
      "f:webhooks": {
        'k:{"name":"injector.pannier.io"}': { ".": {}, "f:name": {}, "f:clientConfig": { "f:caBundle": {} } },
      },
    });
    const [webhookBefore, webhookAfter] = [before.webhooks[0], after.webhooks[0]];
    delete webhookAfter.clientConfig.caBundle;
    assert.deepEqual(webhookAfter, webhookBefore);
    for (const patch of [
      [{ op: "remove", path: "/webhooks/0/clientConfig/caBundle" }],
      [
        {
          op: "replace",
          path: "/webhooks/0/clientConfig/caBundle",
          value: Buffer.from(await issued()).toString("base64"),
        },
      ],
    ]) {
      const how = ["patch", "mutatingwebhookconfiguration", name, "--type=json", "-p", JSON.stringify(patch)];
      await bed.kubectl(how);
      assert.notEqual(await caBundleIn(), source.trustAnchors);
      await bundle.check();
      assert.equal(await caBundleIn(), source.trustAnchors);
    }
    await until("a pod is admitted again", () => admit("app").then(() => true));
  });

  it("keeps the trust bundle where there are sidecars, and it goes when the configuration goes", async () => {
    const source = await authority();
    await webhook(source);
    const bundle = keepCaBundle(source);
    await bundle.check();
    const other = await bed.namespace();
    const trust = opened(
      new TrustBundles({
        client,
        source,
        namespaces: { current: () => new Set([namespace, other, "not-there"]), onChange: ignore },
        owner: () => bundle.owner,
        mayWrite: () => true,
        clock: systemClock,
        log,
      }),
    );
    await trust.check();
    const textIn = (where: string): Promise<string> =>
      bed.kubectl(["-n", where, "get", "configmap", "pannier-trust-bundle", "-o", "jsonpath={.data.ca\\.crt}"]);
    assert.equal(await textIn(namespace), source.trustAnchors);
    assert.equal(await textIn(other), source.trustAnchors);
    if (!bed.hasControllers) return;
    await removeConfiguration(bed, name);
    await until("the garbage collector takes it away", async () => {
      const found = await bed.kubectl(["-n", other, "get", "configmap", "pannier-trust-bundle", "--ignore-not-found"]);
      return found === "";
    });
  });

  it("asks for no more rights than it is given by name", async () => {
    await webhook(await authority());
    const user = `user-of-${namespace}`;
    const rights = [
      { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
      { apiGroups: [""], resources: ["secrets"], resourceNames: ["pannier-ca"], verbs: ["get", "update"] },
      {
        apiGroups: [""],
        resources: ["configmaps"],
        resourceNames: ["pannier-trust-bundle"],
        verbs: ["get", "patch", "create"],
      },
    ];
    const group = "rbac.authorization.k8s.io";
    const subjects = [{ apiGroup: group, kind: "User", name: user }];
    const admission = { apiGroups: ["admissionregistration.k8s.io"], resources: ["mutatingwebhookconfigurations"] };
    const cluster = [{ ...admission, resourceNames: [name], verbs: ["get", "patch"] }];
    for (const [kind, place, rules] of [
      ["", { name, namespace }, rights],
      ["Cluster", { name }, cluster],
    ] as const) {
      const api = { apiVersion: `${group}/v1`, metadata: place };
      await create(bed, { ...api, kind: `${kind}Role`, rules });
      const roleRef = { apiGroup: group, kind: `${kind}Role`, name };
      await create(bed, { ...api, kind: `${kind}RoleBinding`, roleRef, subjects });
    }
    const limited = openKubeClient({ kubeconfig: await bed.kubeconfigFor(user), clock: systemClock });
    try {
      await bed.kubectl(["-n", namespace, "delete", "secret", "pannier-ca"]);
      const lines = keepLog();
      const source = await authority({ client: limited, log: lines.log });
      await bed.kubectl(["-n", namespace, "annotate", "secret", "pannier-ca", "pannier.io/rotate=now"]);
      await source.look();
      assert.equal(splitPem(source.trustAnchors)?.length, 2);
      const common = { client: limited, source, mayWrite: () => true, clock: systemClock, log: lines.log };
      const bundle = opened(new CaBundle({ ...common, name }));
      await bundle.check();
      assert.equal(bundle.isPublished(source.trustAnchors), true);
      const namespaces = { current: () => new Set([namespace]), onChange: ignore };
      const trust = opened(new TrustBundles({ ...common, namespaces, owner: () => bundle.owner }));
      await trust.check();
      assert.match(
        await bed.kubectl(["-n", namespace, "get", "configmap", "pannier-trust-bundle"]),
        /pannier-trust-bundle/,
      );
      assert.deepEqual(
        lines.lines.filter((line) => /"level":"(error|warning)"/.test(line)),
        [],
      );
    } finally {
      await Promise.all(open.splice(0).map((each) => each.close()));
      limited.close();
      await bed.kubectl(["delete", "clusterrole,clusterrolebinding", name]);
    }
  });

  it("fails no admission and no handshake while the CA rotates under traffic", async function () {
    this.timeout(120_000);
    // A CA of 250 days; time is two hours behind the world's and runs 60 times as fast, so that settling takes 10 s and
    // no certificate is from the world's future for two minutes.
    const clock = new FastClock(Date.now() - 250 * DAY_MS - 2 * HOUR_MS - performance.now() * 60, 60);
    let bundle: CaBundle | null = null;
    const isPublished = (anchors: string): boolean => bundle?.isPublished(anchors) ?? false;
    let leads = false;
    const leader = await authority({ clock, isPublished, mayRotate: () => leads });
    clock.jump(250 * DAY_MS);
    await leader.look();
    const { port } = await webhook(leader);
    bundle = keepCaBundle(leader, clock);
    const [old = ""] = splitPem(leader.trustAnchors) ?? [];
    await until("the first pod is admitted", () => admit("first").then(() => true));

    let isOver = false;
    const counted = { admissions: 0, handshakes: 0 };
    const admissions = async (worker: number): Promise<void> => {
      for (; !isOver; counted.admissions++) await admit(`pod-${worker}-${counted.admissions}`);
    };
    // A bundle is read, and used a while later: the API server too has the one of before for some time.
    const handshakes = async (): Promise<void> => {
      for (let stale = await caBundleIn(); !isOver; counted.handshakes++) {
        const fresh = await caBundleIn();
        for (const anchors of [stale, fresh, old]) assert.equal(await handshake(port, anchors), null);
        stale = fresh;
      }
    };
    const traffic = Promise.all([admissions(1), admissions(2), handshakes()]);
    const rotated = until("the next CA signs", async () => {
      const [first = ""] = splitPem(leader.trustAnchors) ?? [];
      return first !== old && isSignedBy(leader, first);
    });
    leads = true;
    try {
      await Promise.race([rotated, traffic]);
      const before = counted.admissions;
      await until("pods are admitted by the new certificate", () => Promise.resolve(counted.admissions > before + 20));
    } finally {
      isOver = true;
      await traffic;
    }
    assert.ok(counted.admissions > 40 && counted.handshakes > 2, JSON.stringify(counted));
    assert.equal(splitPem(await caBundleIn())?.length, 2);
  });

  it("serves certificates that are given, and goes over to those of another CA under traffic", async () => {
    const validity = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };
    const folder = await mkdtemp(join(tmpdir(), "pannier-given-"));
    const give = async (): Promise<string> => {
      const ca = await issueAuthority(validity);
      const leaf = await issueLeaf(["localhost"], ca, validity);
      const files = { "ca.crt": ca.certificatePem, "tls.crt": leaf.certificatePem, "tls.key": leaf.keyPem };
      for (const [file, text] of Object.entries(files)) {
        await writeFile(join(folder, `${file}.new`), text);
        await rename(join(folder, `${file}.new`), join(folder, file));
      }
      return leaf.certificatePem;
    };
    try {
      await give();
      let bundle: CaBundle | null = null;
      const isPublished = (anchors: string): boolean => bundle?.isPublished(anchors) ?? false;
      const source = opened(await openFiles({ folder, names: ["localhost"], isPublished, clock: systemClock, log }));
      await webhook(source);
      bundle = keepCaBundle(source);
      await until("the first pod is admitted", () => admit("first").then(() => true));
      let isOver = false;
      let admissions = 0;
      const traffic = (async () => {
        for (; !isOver; admissions++) await admit(`pod-${admissions}`);
      })();
      const publishedWhenServed: boolean[] = [];
      source.onChange(() => {
        if (source.current.certificatePem === leaf) publishedWhenServed.push(isPublished(source.trustAnchors));
      });
      const leaf = await give();
      const swapped = until("the new pair is served", async () => {
        await source.look();
        return source.current.certificatePem === leaf;
      });
      await Promise.race([swapped, traffic]);
      const before = admissions;
      await until("pods are admitted by it", () => Promise.resolve(admissions > before + 10));
      isOver = true;
      await traffic;
      assert.deepEqual(publishedWhenServed, [true]);
      assert.equal(splitPem(await caBundleIn())?.length, 2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("has no private key in any line of the log", () => {
    assert.ok(kept.lines.length > 0);
    assert.equal(
      kept.lines.some((line) => line.includes("PRIVATE KEY")),
      false,
    );
  });
});

async function issued(): Promise<string> {
  const { certificatePem } = await issueAuthority({ fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS });
  return certificatePem;
}

function isSignedBy({ current }: Authority, authorityPem: string): boolean {
  return new X509Certificate(current.certificatePem).verify(new X509Certificate(authorityPem).publicKey);
}
