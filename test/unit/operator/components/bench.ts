// What the tests of the Component controller stand on: a cluster in memory at the KubeClient's border, a real cache, a
// clock that is moved by hand, and the controller with its parts on them.
import type { ReportedComponent } from "#crds/distribution.ts";
import { createLog } from "#kit/log.ts";
import { ReportTable } from "#operator/api/report-table.ts";
import { ComponentController } from "#operator/components/controller.ts";
import type { ResourceObject } from "#operator/components/manifest.ts";
import { ResourceTable } from "#operator/components/resource-table.ts";
import { SecretWatch } from "#operator/components/secret-watch.ts";
import { shownStatus } from "#operator/components/shown-status.ts";
import type { Condition, ConditionType } from "#operator/components/status.ts";
import { StatusWriter } from "#operator/components/status-writer.ts";
import { judge } from "#operator/judge.ts";
import { type KubeClient, KubeError, type KubeRequest } from "#operator/kube/client.ts";
import type { Told } from "#operator/kube/events.ts";
import { objectKey } from "#operator/kube/object.ts";
import { ObjectCache } from "#operator/kube/object-cache.ts";
import { WorkQueue } from "#operator/kube/queue.ts";
import { noOperatorMetrics, type OperatorMetrics } from "#operator/metrics.ts";
import { ManualClock, settle } from "#test/unit/sidecar/resiliency/manual-clock.ts";

/** What a request is answered with instead, by its path; null for the plain answer. */
export type Refusal = (request: KubeRequest) => KubeError | null;

export function kubeError(status: number): KubeError {
  return new KubeError(`answered ${status}`, { status, reason: null, retryAfterMs: null });
}

interface Shape {
  readonly name?: string;
  readonly namespace?: string;
  readonly type?: string;
  readonly metadata?: readonly object[];
  readonly scopes?: readonly string[];
  readonly secretStore?: string;
  readonly generation?: number;
  readonly uid?: string;
}

const INSTALLATION = {
  release: "pannier",
  chart: "charts/pannier",
  namespace: "pannier-system",
  serviceAccount: "pannier-operator",
  secretNamespaces: ["default"],
};

/** Turns of the event loop after which nothing is under way any more: the longest chain of promises has fewer. */
const TURNS = 30;

/** A bench whose next judgements load no driver any more: that takes more than turns of the event loop. */
export async function startBench(): Promise<Bench> {
  for (const type of ["state.in-memory", "state.redis"]) {
    await judge({ apiVersion: "dapr.io/v1alpha1", kind: "Component", metadata: { name: "warm" }, spec: { type } });
  }
  return new Bench();
}

export class Bench implements KubeClient {
  readonly clock: ManualClock = new ManualClock();
  readonly components: ObjectCache<ResourceObject>;
  readonly reports: ReportTable = new ReportTable();
  readonly table: ResourceTable = new ResourceTable();
  readonly told: Told[] = [];
  readonly asked: KubeRequest[] = [];
  readonly lines: string[] = [];
  readonly counts: Readonly<Record<"True" | "False" | "Unknown", number>>[] = [];
  /** By namespace and name; values in base64. */
  readonly secrets: Map<string, Readonly<Record<string, string>>> = new Map();
  /** Followed Secrets, and how to tell of news. */
  readonly followed: Map<string, () => void> = new Map();
  readonly controller: ComponentController;
  readonly secretWatch: SecretWatch;
  readonly queue: WorkQueue;
  refuse: Refusal = () => null;
  leads = true;
  judgements = 0;
  readonly #ends: (() => void)[];
  #version = 0;

  constructor() {
    const { clock, counts } = this;
    const log = createLog({
      level: "debug",
      json: true,
      appId: "pannier-operator",
      instance: "pod",
      version: "0",
      write: (line) => this.lines.push(line),
      nowMs: () => clock.nowMs(),
    });
    const random = { fraction: () => 0, uuid: () => "" };
    const metrics: OperatorMetrics = { ...noOperatorMetrics, components: (now) => void counts.push(now) };
    this.components = new ObjectCache({ resource: "components", parts: [""], log, metrics });
    this.secretWatch = new SecretWatch({
      client: this,
      clock,
      random,
      follow: (namespace, name, changed) => {
        this.followed.set(objectKey(namespace, name), changed);
        return () => this.followed.delete(objectKey(namespace, name));
      },
    });
    const events = { tell: (told: Told) => this.told.push(told) };
    const status = new StatusWriter({ client: this, events, clock, log, metrics, mayWrite: () => this.leads });
    this.controller = new ComponentController({
      components: this.components,
      reports: this.reports,
      table: this.table,
      secrets: this.secretWatch,
      status,
      judge: (manifest) => {
        this.judgements++;
        return judge(manifest);
      },
      installation: INSTALLATION,
      clock,
      metrics,
    });
    this.queue = new WorkQueue({ name: "component", worker: this.controller.reconcile, clock, random, log, metrics });
    this.#ends = [this.controller.follow(this.queue)];
  }

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    this.secretWatch.close();
    await this.queue.close();
  }

  /** Puts a Component into the cluster and lets everything that follows from it happen. */
  async put(shape: Shape = {}): Promise<ResourceObject> {
    const object = this.componentOf(shape);
    this.components.put(object);
    await this.rest();
    return object;
  }

  componentOf(shape: Shape): ResourceObject {
    const { name = "orders", namespace = "shop", type = "state.in-memory", metadata = [], scopes, secretStore } = shape;
    const before = this.components.get(objectKey(namespace, name));
    const generation = shape.generation ?? (before?.metadata.generation ?? 0) + 1;
    const uid = shape.uid ?? `uid-${name}`;
    return {
      apiVersion: "dapr.io/v1alpha1",
      kind: "Component",
      metadata: { name, namespace, uid, generation, resourceVersion: String(++this.#version) },
      spec: { type, version: "v1", metadata },
      ...(scopes === undefined ? {} : { scopes }),
      ...(secretStore === undefined ? {} : { auth: { secretStore } }),
      ...(before?.status === undefined ? {} : { status: before.status }),
    };
  }

  report(pod: string, component: Partial<ReportedComponent> = {}, name = "orders"): void {
    const reported = {
      name,
      uid: `uid-${name}`,
      generation: 1,
      state: "ready",
      reachable: true,
      message: null,
    } as const;
    this.reports.put({
      namespace: "shop",
      podName: pod,
      podUid: `uid-${pod}`,
      appId: pod.split("-")[0] ?? "",
      components: [{ ...reported, ...component }],
    });
  }

  setSecret(name: string, data: Readonly<Record<string, string>>, namespace = "shop"): void {
    const encoded = Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString("base64")] as const);
    this.secrets.set(objectKey(namespace, name), Object.fromEntries(encoded));
    this.followed.get(objectKey(namespace, name))?.();
  }

  /** The condition as the cluster shows it. */
  condition(type: ConditionType, name = "orders"): Condition | undefined {
    const status = shownStatus(this.components.get(objectKey("shop", name))?.status);
    return status?.conditions.find((each) => each.type === type);
  }

  /** "False SecretNotFound" */
  verdict(type: ConditionType, name = "orders"): string {
    const { status, reason } = this.condition(type, name) ?? {};
    return `${status} ${reason}`;
  }

  get writes(): number {
    return this.asked.filter(({ method }) => method === "PATCH").length;
  }

  get reads(): number {
    return this.asked.filter(({ path }) => path.includes("/secrets/")).length;
  }

  /** Lets what is under way end, and time pass. */
  async rest(ms = 0): Promise<void> {
    await this.clock.advance(ms);
    for (let i = 0; i < TURNS; i++) await settle();
  }

  async request<T>(request: KubeRequest): Promise<T> {
    this.asked.push(request);
    await settle();
    const refused = this.refuse(request);
    if (refused !== null) throw refused;
    const [, namespace = "", plural = "", name = ""] = /namespaces\/([^/]+)\/(\w+)\/([^/]+)/.exec(request.path) ?? [];
    const answer = plural === "secrets" ? this.#secret(namespace, name) : this.#component(namespace, name, request);
    if (answer === null) throw kubeError(404);
    return answer as T;
  }

  stream(): Promise<AsyncIterable<Buffer>> {
    return Promise.reject(kubeError(0));
  }

  #secret(namespace: string, name: string): object | null {
    const data = this.secrets.get(objectKey(namespace, name));
    return data === undefined ? null : { metadata: { namespace, name }, data };
  }

  #component(namespace: string, name: string, { method, body }: KubeRequest): object | null {
    const object = this.components.get(objectKey(namespace, name));
    if (object === undefined || method === "GET") return object ?? null;
    const { status } = body as { status: unknown };
    const written = {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.#version) },
      status: structuredClone(status),
    };
    this.components.put(written);
    return written;
  }
}

export function secretRef(name: string, key?: string): object {
  return { name: "redisPassword", secretKeyRef: key === undefined ? { name } : { name, key } };
}
