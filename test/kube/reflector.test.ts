// The reflector against a real API server: what only that can say.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { openKubeClient } from "#operator/kube/http-client.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { pathOf } from "#operator/kube/paths.ts";
import { type Reflected, Reflector } from "#operator/kube/reflector.ts";
import { type Bed, describeWithBed, sharedBed } from "../cluster/bed.ts";
import { kubeContext, type TestContext } from "../cluster/kube-context.ts";

const WITHIN_MS = 60_000;
/** More than two pages. */
const MANY = 1_100;

describeWithBed("the reflector on an API server", () => {
  let bed: Bed;
  let namespace: string;
  let context: TestContext;
  let reflectors: Reflector<KubeObject>[];

  before(async () => {
    bed = await sharedBed();
  });

  beforeEach(async () => {
    namespace = await bed.namespace();
    context = kubeContext(bed.kubeconfig);
    reflectors = [];
  });

  afterEach(async () => {
    for (const reflector of reflectors) await reflector.close();
    context.client.close();
  });

  async function reflect(more: Partial<Reflected<KubeObject>> = {}): Promise<Reflector<KubeObject>> {
    const reflector = new Reflector<KubeObject>(context, {
      apiVersion: "v1",
      plural: "configmaps",
      namespaces: [namespace],
      trim: ({ managedFields: _left, ...rest }) => rest,
      ...more,
    });
    reflectors.push(reflector);
    reflector.start();
    await until(() => reflector.cache.synced);
    return reflector;
  }

  async function until(holds: () => boolean): Promise<void> {
    const end = Date.now() + WITHIN_MS;
    while (!holds()) {
      assert.ok(Date.now() < end, `not within ${WITHIN_MS} ms: ${holds}\n${context.lines.join("")}`);
      await pause(20);
    }
  }

  function create(name: string): Promise<KubeObject> {
    const body = { metadata: { name, labels: { name } }, data: { secret: "s3cret" } };
    return context.client.request({
      method: "POST",
      path: pathOf({ apiVersion: "v1", plural: "configmaps", namespace }),
      body,
    });
  }

  it("lists objects that are too large for a page", async () => {
    const context = kubeContext(bed.kubeconfig);
    const client = openKubeClient({ kubeconfig: bed.kubeconfig, clock: context.clock, answerBytesMax: 400_000 });
    const path = pathOf({ apiVersion: "v1", plural: "configmaps", namespace });
    for (let nth = 0; nth < 10; nth++) {
      const body = { metadata: { name: `large-${nth}` }, data: { text: "x".repeat(150_000) } };
      await context.client.request({ method: "POST", path, body });
    }
    const trim = ({ metadata }: KubeObject): KubeObject => ({ metadata });
    const options = { apiVersion: "v1", plural: "configmaps", namespaces: [namespace], trim };
    const reflector = new Reflector({ ...context, client }, options);
    reflectors.push(reflector);
    reflector.start();
    await until(() => reflector.cache.synced);
    assert.equal([...reflector.cache.all()].filter(({ metadata }) => metadata.name.startsWith("large-")).length, 10);
    await reflector.close();
    for (const each of [client, context.client]) each.close();
  });

  it("lists more than a page and follows what comes and goes", async function () {
    this.timeout(4 * WITHIN_MS);
    const names = Array.from({ length: MANY }, (_, nth) => `map-${nth}`);
    await Promise.all(names.map(create));
    const { cache } = await reflect();
    assert.equal([...cache.all(namespace)].filter(({ metadata }) => metadata.name.startsWith("map-")).length, MANY);
    await create("late");
    await until(() => cache.get(`${namespace}/late`) !== undefined);
    await bed.kubectl(["-n", namespace, "delete", "configmap", "late"]);
    await until(() => cache.get(`${namespace}/late`) === undefined);
  });

  it("gets objects of one shape from lists and watches, of metadata only as of whole ones", async () => {
    await create("listed");
    for (const metadataOnly of [false, true]) {
      const { cache } = await reflect({ metadataOnly });
      await create(`watched-${metadataOnly}`);
      await until(() => cache.get(`${namespace}/watched-${metadataOnly}`) !== undefined);
      for (const name of ["listed", `watched-${metadataOnly}`]) {
        const object = cache.get(`${namespace}/${name}`);
        const [version, kind] = metadataOnly ? ["meta.k8s.io/v1", "PartialObjectMetadata"] : ["v1", "ConfigMap"];
        assert.deepEqual([object?.apiVersion, object?.kind], [version, kind]);
        assert.equal(JSON.stringify(object).includes("s3cret"), !metadataOnly);
        assert.deepEqual(object?.metadata.labels, { name });
      }
    }
  });

  it("keeps to its selectors and namespaces", async () => {
    const other = await bed.namespace();
    await Promise.all([create("a"), create("b")]);
    const some = await reflect({ namespaces: [namespace, other], labelSelector: "name=a" });
    const one = await reflect({ fieldSelector: "metadata.name=b" });
    assert.deepEqual(
      [...some.cache.all()].map(({ metadata }) => metadata.name),
      ["a"],
    );
    assert.deepEqual(
      [...one.cache.all()].map(({ metadata }) => metadata.name),
      ["b"],
    );
    await bed.kubectl(["-n", other, "create", "configmap", "c"]);
    await bed.kubectl(["-n", other, "label", "configmap", "c", "name=a"]);
    await until(() => some.cache.get(`${other}/c`) !== undefined);
    await bed.kubectl(["-n", other, "label", "configmap", "c", "name=x", "--overwrite"]);
    await until(() => some.cache.get(`${other}/c`) === undefined);
  });

  it("has everything again after the API server was restarted", async function () {
    this.timeout(240_000);
    if (!bed.isOwn) {
      await assert.rejects(bed.restartApiServer(), /is not ours to stop/);
      return;
    }
    const { cache } = await reflect();
    await bed.restartApiServer();
    await create("after");
    await until(() => cache.get(`${namespace}/after`) !== undefined);
  });
});
