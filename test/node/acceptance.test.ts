// What docs/kubernetes.md promises, on a cluster where pods run: the chart, the image, the webhook called by the API server,
// sidecars that the kubelet starts, and an app that keeps its state through all that can happen to the operator.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { App, metricsAt, STORE } from "./app.ts";
import { everything, names } from "./inventory.ts";
import { app, component, job, type Manifest, pod, redis, restrictedNamespace, secret } from "./manifests.ts";
import { describeOnNode, NODE_WITHIN_MS, type Node, startNode, until } from "./node.ts";
import {
  caBundle,
  certificatesIn,
  install,
  leader,
  OWN,
  replicas,
  rollback,
  scale,
  uninstall,
  untilReplicas,
  upgrade,
} from "./release.ts";

const SPACE = "orders";
const PASSWORDS = ["planted-5ecret-one", "planted-5ecret-two"] as const;
const TEST_WITHIN_MS = 300_000;

describeOnNode("Pannier on a node", function () {
  this.timeout(TEST_WITHIN_MS);

  let node: Node;
  let untouched: ReadonlySet<string>;
  let database: Redis;
  let orders: App;

  const inSpace = (...args: string[]): Promise<string> => node.kubectl(["-n", SPACE, ...args]);
  const apply = (...manifests: readonly Manifest[]): Promise<string> =>
    node.kubectl(["-n", SPACE, "apply", "-f", "-"], manifests.map((each) => JSON.stringify(each)).join("\n---\n"));
  const create = (manifest: Manifest) =>
    node.tryKubectl(["-n", SPACE, "create", "-f", "-", "-o", "json"], JSON.stringify(manifest));

  /** A new annotated pod comes with a sidecar. */
  async function isInjecting(): Promise<void> {
    const { status, stdout, stderr } = await create(pod("anew", { "dapr.io/enabled": "true" }));
    assert.equal(status, 0, stderr);
    assert.equal(JSON.parse(stdout).spec.initContainers?.[0]?.name, "daprd");
    await inSpace("delete", "pod", "anew");
  }

  /** As `kubectl get components` shows it: READY and REASON. */
  async function shown(name: string): Promise<string> {
    const [head = "", row = ""] = (await inSpace("get", "components", name)).split("\n");
    assert.match(head, /^NAME +TYPE +VERSION +READY +REASON +AGE/);
    return row.split(/ +/).slice(3, 5).join(" ");
  }
  const untilShown = (name: string, wanted: string): Promise<void> =>
    until(`component ${name} is ${wanted}`, async () => (await shown(name)) === wanted);

  before(async function () {
    this.timeout(NODE_WITHIN_MS);
    node = await startNode();
    untouched = await names(node);
    await install(node);
    await apply(restrictedNamespace(SPACE));
    await apply(...redis());
    await inSpace("rollout", "status", "deployment/redis", "--timeout=50s");
    const host = await inSpace("get", "service", "redis", "-o", "jsonpath={.spec.clusterIP}");
    database = new Redis({ host });
    await database.config("SET", "requirepass", PASSWORDS[0]);
    orders = new App(node, { namespace: SPACE, name: "orders" });
  });
  after(() => database?.disconnect());

  afterEach("no log has a secret", async () => {
    const found = [...(await node.logs())].filter(([, text]) => hasSecret(text)).map(([path]) => path);
    assert.deepEqual(found, []);
  });
  const hasSecret = (text: string): boolean =>
    PASSWORDS.some((each) => text.includes(each) || text.includes(Buffer.from(each).toString("base64")));

  it("is installed without a value, in two replicas, and passes its own test", async () => {
    assert.deepEqual(
      (await replicas(node)).map(({ isReady }) => isReady),
      [true, true],
    );
    const told = await node.shell(`helm test pannier --namespace ${OWN}`);
    assert.match(told, /Phase: +Succeeded/);
  });

  it("tells a Component without rights on its Secret the command that grants them, which works", async () => {
    const password = { name: "redisPassword", secretKeyRef: { name: "redis", key: "password" } };
    const host = { name: "redisHost", value: "redis:6379" };
    await apply(secret("redis", { password: PASSWORDS[0] }), component("statestore", [host, password]));
    await untilShown("statestore", "False Forbidden");
    const told = await inSpace("get", "component", "statestore", "-o", "jsonpath={.status.conditions[*].message}");
    const command = /helm upgrade .*?'secrets\.namespaces=\{[^}]*\}'/.exec(told)?.[0];
    assert.ok(command, told);
    await node.shell(command);
    await untilShown("statestore", "Unknown NoSidecar");
  });

  it("gives an annotated Deployment its sidecar, through which the app keeps state", async () => {
    await apply(...app("orders"));
    await orders.ready();
    await orders.keeps("first", { value: 1 });
    await untilShown("statestore", "True Ready");
    assert.equal((await orders.sidecar()).restartCount, 0);
  });

  it("puts the sidecar first, and the API server's own token into it once", async () => {
    const { spec } = await orders.pod();
    const { initContainers: [first, ...others] = [], containers } = spec;
    assert.deepEqual([first?.name, others, containers.map(({ name }) => name)], ["daprd", [], ["app"]]);
    const paths = first?.volumeMounts.map(({ mountPath }) => mountPath) ?? [];
    assert.equal(paths.filter((path) => path === "/var/run/secrets/kubernetes.io/serviceaccount").length, 1);
    assert.deepEqual(paths, [...new Set(paths)]);
  });

  it("is admitted where only restricted pods are", async () => {
    const spec = { containers: [{ name: "app", image: "none" }] };
    const { stderr } = await create({ apiVersion: "v1", kind: "Pod", metadata: { name: "lax" }, spec });
    assert.match(stderr, /violates PodSecurity "restricted:/);
    await isInjecting();
  });

  it("takes a changed password up without a restart, and no request fails", async () => {
    const { metadata } = await orders.pod();
    const before = await connections();
    await orders.underLoad(async () => {
      await database.config("SET", "requirepass", PASSWORDS[1]);
      await apply(secret("redis", { password: PASSWORDS[1] }));
      await until("the sidecar has connected anew", async () => {
        const now = await connections();
        return now.size > 0 && now.isDisjointFrom(before);
      });
    });
    await orders.keeps("after", 2);
    assert.deepEqual([(await orders.pod()).metadata.uid, (await orders.sidecar()).restartCount], [metadata.uid, 0]);
  });

  /** Ids of the sidecar's connections to Redis: all but the test's own. */
  async function connections(): Promise<ReadonlySet<string>> {
    const lines = String(await database.call("CLIENT", "LIST"))
      .trim()
      .split("\n");
    return new Set(lines.filter((line) => !line.includes("cmd=client")).map((line) => line.split(" ")[0] ?? ""));
  }

  it("says of a wrong Component what is wrong, and leaves the good one alone", async () => {
    await apply(
      component("misspelt", [], { type: "state.reddis" }),
      component("nowhere", [{ name: "redisHost", value: "nowhere:1" }]),
    );
    await untilShown("misspelt", "False NotLoaded");
    await until("component nowhere is False", async () => (await shown("nowhere")).startsWith("False "));
    assert.equal(await shown("statestore"), "True Ready");
    await orders.keeps("beside", 3);
    await inSpace("delete", "component", "misspelt", "nowhere");
    await orders.ready();
  });

  it("starts a Job's sidecar before its program, and lets the Job end", async () => {
    const body = JSON.stringify([{ key: "job", value: "done" }]);
    const program = `const url = "http://localhost:" + process.env.DAPR_HTTP_PORT + "${STORE}";
      const { status } = await fetch(url, { method: "POST", body: ${JSON.stringify(body)} });
      process.exitCode = status === 204 ? 0 : 1;`;
    await apply(job("once", program));
    await inSpace("wait", "--for=condition=Complete", "job/once", "--timeout=55s");
    assert.equal(
      await inSpace("get", "pods", "-l", "app=once", "-o", "jsonpath={.items[*].status.phase}"),
      "Succeeded",
    );
  });

  it("puts the sidecar beside the app where an annotation asks for that", async () => {
    const classic = new App(node, { namespace: SPACE, name: "classic" });
    await apply(...app("classic", { "dapr.io/enable-native-sidecar": "false" }));
    await classic.ready();
    const { initContainers, containers } = (await classic.pod()).spec;
    assert.deepEqual([initContainers, containers.map(({ name }) => name)], [undefined, ["app", "daprd"]]);
    await classic.keeps("classic", 4);
    await inSpace("delete", "deployment", "classic");
  });

  it("serves on while the operator's pods are deleted, and another replica leads after it", async () => {
    const led = await leader(node);
    const pods = (await replicas(node)).map(({ name }) => name);
    await orders.underLoad(async () => {
      await node.kubectl(["-n", OWN, "delete", "pod", "--wait=false", ...pods]);
      await until("another replica leads", async () => ![led, ""].includes(await leader(node)));
      await untilReplicas(node, 2);
      await orders.connected(true);
    });
    await apply(component("later", [{ name: "redisHost", value: "nowhere:1" }], { type: "state.reddis" }));
    await untilShown("later", "False NotLoaded");
    await inSpace("delete", "component", "later");
    await isInjecting();
  });

  it("refuses annotated pods and no others without an operator, and a sidecar that starts meanwhile waits for it", async () => {
    await scale(node, 0);
    const refused = await create(pod("refused", { "dapr.io/enabled": "true" }));
    assert.match(refused.stderr, /failed calling webhook "sidecar-injector\.pannier\.io"/);
    assert.equal((await create(pod("plain", {}))).status, 0);
    await orders.keeps("alone", 5);
    await orders.restartSidecar();
    await until("the sidecar says what it waits for", async () =>
      (await orders.health()).includes("it waits for the operator at"),
    );
    const { restartCount } = await orders.sidecar();
    await scale(node, 2);
    await orders.ready();
    await orders.keeps("together", 6);
    assert.equal((await orders.sidecar()).restartCount, restartCount);
    await inSpace("delete", "pod", "plain");
  });

  it("rotates its CA when asked: everybody trusts both, and a sidecar that restarts connects", async () => {
    await node.kubectl(["-n", OWN, "annotate", "secret", "pannier-ca", "pannier.io/rotate=now"]);
    await until("the API server trusts both CAs", async () => certificatesIn(await caBundle(node)) === 2);
    await until("the namespace has both CAs", async () => certificatesIn(await trustBundle()) === 2);
    await orders.restartSidecar();
    await orders.ready();
    await orders.keeps("rotated", 7);
    await inSpace("rollout", "restart", "deployment/orders");
    await until("a new pod trusts both CAs", async () => certificatesIn(await anchorsOf(orders)) === 2);
    await orders.ready();
  });

  const trustBundle = (): Promise<string> =>
    inSpace("get", "configmap", "pannier-trust-bundle", "-o", "jsonpath={.data.ca\\.crt}");
  async function anchorsOf(of: App): Promise<string> {
    const { env = [] } = (await of.pod()).spec.initContainers?.[0] ?? {};
    return env.find(({ name }) => name === "DAPR_TRUST_ANCHORS")?.value ?? "";
  }

  it("takes a new CA in place of one that leaked, and sidecars with the old one in their environment connect", async () => {
    const leaked = await caBundle(node);
    await scale(node, 0);
    await orders.connected(false);
    await node.kubectl(["-n", OWN, "delete", "secret", "pannier-ca"]);
    await scale(node, 2);
    await until("the API server trusts the new CA alone", async () => {
      const now = await caBundle(node);
      return certificatesIn(now) === 1 && !leaked.includes(now.trim());
    });
    assert.ok(!(await anchorsOf(orders)).includes((await caBundle(node)).trim()));
    await orders.connected(true);
    await orders.restartSidecar();
    await orders.ready();
    await orders.keeps("renewed", 8);
    await untilShown("statestore", "True Ready");
  });

  it("keeps sidecars and caBundle through an upgrade and a rollback", async () => {
    const bundle = await caBundle(node);
    const { restartCount } = await orders.sidecar();
    await orders.underLoad(async () => {
      await upgrade(node, "operator.logLevel=debug");
      assert.equal(await caBundle(node), bundle);
      await rollback(node);
      assert.equal(await caBundle(node), bundle);
    });
    assert.equal((await orders.sidecar()).restartCount, restartCount);
    await isInjecting();
  });

  it("runs the example as its page says", async () => {
    await node.shell("kubectl apply -k examples/kubernetes");
    await node.shell("kubectl -n shop rollout status deployment/visits --timeout=150s");
    const address = await node.shell("kubectl -n shop get service visits -o 'jsonpath={.spec.clusterIP}'");
    const visit = async (): Promise<string> => (await fetch(`http://${address}/`)).text();
    assert.deepEqual([await visit(), await visit(), await visit()], ["visit 1\n", "visit 2\n", "visit 3\n"]);
    await node.shell("kubectl delete -k examples/kubernetes");
  });

  it("shows a secret's value nowhere but in the Secret", async () => {
    // The logs are looked through after each test.
    assert.ok((await node.logs()).size > 0);
    const found = (await everything(node)).filter((each) => each.kind !== "Secret" && hasSecret(JSON.stringify(each)));
    assert.deepEqual(
      found.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
      [],
    );
    const addresses = [...(await replicas(node)).map(({ address }) => address), (await orders.pod()).status.podIP];
    for (const address of addresses) {
      const metrics = await metricsAt(address);
      assert.match(metrics, /^(pannier_operator|dapr)_/m);
      assert.ok(!hasSecret(metrics));
    }
  });

  it("leaves nothing but the CRDs when it is uninstalled, and sidecars serve on", async () => {
    await orders.underLoad(async () => {
      await uninstall(node);
      await until("what belonged to others has gone with them", async () => {
        // Helm leaves the namespace, and each namespace has objects of its own.
        const left = [...(await names(node))].filter((each) => /\/[^/]*pannier/.test(each));
        assert.deepEqual(left, [`Namespace /${OWN}`]);
        return true;
      });
    });
    database.disconnect();
    await node.kubectl(["delete", "namespace", SPACE, OWN]);
    const left = [...(await names(node))].filter((each) => !untouched.has(each));
    const kinds = ["components", "configurations", "resiliencies"];
    assert.deepEqual(
      left.toSorted(),
      ["APIService /v1alpha1.dapr.io", ...kinds.map((kind) => `CustomResourceDefinition /${kind}.dapr.io`)].toSorted(),
    );
  });
});
