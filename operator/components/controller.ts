// Takes a Component from the cache to the sidecars and to its status: judged, secrets resolved, handed on, reported.
// One key at a time; what fails with one Component stays with it. Speaks to no sidecar and reads no manifest itself.
import { COMPONENT_CONTAINER } from "#crds/annotations.ts";
import type { Component } from "#crds/component.ts";
import type { Clock } from "#kit/clock.ts";
import type { Fault } from "#kit/fault.ts";
import type { ReportTable } from "../api/report-table.ts";
import type { Cache } from "../kube/cache.ts";
import { keyOf, type ObjectKey, objectKey, splitKey } from "../kube/object.ts";
import type { OperatorMetrics } from "../metrics.ts";
import type { Known } from "./conditions.ts";
import { grantCommand, type Installation } from "./grant.ts";
import { manifestOf, oversizeFault, type ResourceObject } from "./manifest.ts";
import type { ResourceTable } from "./resource-table.ts";
import type { SecretWatch } from "./secret-watch.ts";
import {
  CLUSTER_STORE,
  CLUSTER_STORE_TYPE,
  NO_SECRETS,
  type Resolution,
  referencesOf,
  resolve,
  resolvedInSidecar,
  type SecretReading,
} from "./secrets.ts";
import type { ComponentStatus, ConditionStatus } from "./status.ts";
import type { StatusWriter } from "./status-writer.ts";

/** How long reports on one Component are gathered before it is looked at again, in milliseconds. */
export const REPORTS_SETTLE_MS = 500;

/** What the sidecar's decoder says of a manifest. */
export interface Judgement {
  readonly faults: readonly Fault[];
  /** As far as it could be read. */
  readonly component: Component;
  /** A state store or a secret store, or of no type that Dapr has; others are not ours to judge or hand on. */
  readonly isOurs: boolean;
}

export type Judge = (manifest: unknown) => Promise<Judgement>;

/** Where keys wait for {@link ComponentController.reconcile}. */
export interface KeyQueue {
  add(key: ObjectKey): void;
  addAfter(key: ObjectKey, delayMs: number): void;
}

export interface ComponentControllerContext {
  readonly components: Cache<ResourceObject>;
  readonly reports: ReportTable;
  readonly table: ResourceTable;
  readonly secrets: SecretWatch;
  readonly status: StatusWriter;
  readonly judge: Judge;
  readonly installation: Installation;
  readonly clock: Clock;
  readonly metrics: OperatorMetrics;
}

interface Judged {
  readonly uid: string;
  readonly generation: number;
  /** An annotation is no part of the generation. */
  readonly hasContainer: boolean;
  readonly judgement: Judgement;
}

export class ComponentController {
  readonly #context: ComponentControllerContext;
  /** By the generation that was judged: a report or a secret changes nothing about a manifest. */
  readonly #judged = new Map<ObjectKey, Judged>();
  readonly #ready = new Map<ObjectKey, ConditionStatus>();
  /** In the table, or found not to belong there; null when that is so of all that the first list had. */
  #settled: Set<ObjectKey> | null = new Set();
  #queue: KeyQueue | null = null;

  constructor(context: ComponentControllerContext) {
    this.#context = context;
  }

  /** Every Component that the first list had is in the table, its secrets asked for. */
  get synced(): boolean {
    const { components } = this.#context;
    if (this.#settled === null) return true;
    if (!components.synced) return false;
    for (const object of components.all()) if (!this.#settled.has(keyOf(object))) return false;
    this.#settled = null;
    return true;
  }

  /** From now on everything that changes goes into `queue`, whose worker is `reconcile`. Gives its end. */
  follow(queue: KeyQueue): () => void {
    const { components, secrets, reports, clock } = this.#context;
    this.#queue = queue;
    const settling = new Set<ObjectKey>();
    const settle = (key: ObjectKey): void => {
      if (settling.has(key)) return;
      settling.add(key);
      clock.after(REPORTS_SETTLE_MS, () => {
        settling.delete(key);
        queue.add(key);
      });
    };
    const ends = [
      components.onChange((key, now, before) => {
        queue.add(key);
        if (isClusterStore(now) !== isClusterStore(before)) this.#addUsersOf(key);
      }),
      secrets.onChange((owner) => queue.add(owner)),
      reports.onChange((namespace, name) => settle(objectKey(namespace, name))),
    ];
    this.addAll();
    return () => {
      for (const end of ends) end();
    };
  }

  /** Everything is looked at again: a replica that begins to lead writes what it only knew before. */
  addAll(): void {
    this.#context.status.beginToHear();
    for (const object of this.#context.components.all()) this.#queue?.add(keyOf(object));
  }

  /** The queue's worker. Rejects when the status cannot be written; the table is filled by then. */
  readonly reconcile = async (key: ObjectKey): Promise<void> => {
    const { clock, metrics } = this.#context;
    const startMs = clock.monotonicMs();
    let outcome: "same" | "written" | "failed" = "failed";
    try {
      outcome = await this.#reconcile(key);
    } finally {
      metrics.reconciled("component", outcome, clock.monotonicMs() - startMs);
    }
  };

  async #reconcile(key: ObjectKey): Promise<"same" | "written"> {
    const { components, table, status } = this.#context;
    const object = components.get(key);
    if (object === undefined) return this.#remove(key);
    const { namespace, name } = splitKey(key);
    const resource = manifestOf(object, "Component");
    const { isOurs, component, faults } = await this.#judge(key, object, resource);
    if (!isOurs) {
      await status.clear(object);
      return this.#remove(key);
    }
    // It may have changed or gone while it was judged: then it waits in the queue already.
    if (components.get(key) !== object) return "same";
    // What sidecars were given before stays in the table.
    if (object.oversizedBytes !== undefined)
      return this.#show(key, object, { faults: [oversizeFault(object.oversizedBytes)], secrets: NO_SECRETS });
    const resolution = this.#resolve(key, component);
    // The first answer about a secret brings it back.
    if (resolution === null) return "same";
    const { scopes } = component;
    table.set({ kind: "Component", namespace, name, scopes, resource, secrets: resolution.parts });
    return this.#show(key, object, { faults, secrets: resolution.verdict });
  }

  async #show(
    key: ObjectKey,
    object: ResourceObject,
    known: Pick<Known, "faults" | "secrets">,
  ): Promise<"same" | "written"> {
    const { namespace, name } = splitKey(key);
    this.#settled?.add(key);
    const { uid, generation = 0 } = object.metadata;
    const reports = this.#context.reports.of(namespace, name).filter((report) => report.uid === uid);
    const outcome = await this.#context.status.write(object, { generation, ...known, reports });
    this.#count(key, outcome.status);
    if (outcome.done !== "later") return outcome.done;
    this.#queue?.addAfter(key, outcome.waitMs);
    return "same";
  }

  async #judge(key: ObjectKey, { metadata }: ResourceObject, manifest: object): Promise<Judgement> {
    const { uid, generation = 0, annotations = {} } = metadata;
    const hasContainer = COMPONENT_CONTAINER in annotations;
    const known = this.#judged.get(key);
    if (known?.uid === uid && known.generation === generation && known.hasContainer === hasContainer)
      return known.judgement;
    // Sidecars are not given the annotation, and need it not: they have the socket.
    const judgement = await this.#context.judge(hasContainer ? { ...manifest, metadata } : manifest);
    this.#judged.set(key, { uid, generation, hasContainer, judgement });
    return judgement;
  }

  /** Null while a secret was never asked for: what a sidecar has goes on until that is known. */
  #resolve(key: ObjectKey, component: Component): Resolution | null {
    const { secrets, installation } = this.#context;
    const { namespace } = splitKey(key);
    const references = referencesOf(component);
    const store = component.secretStore;
    const isHere = references.length === 0 || this.#isResolvedHere(namespace, store);
    const names = isHere ? references.map(({ name }) => name) : [];
    secrets.refer(key, namespace, names);
    if (!isHere) return resolvedInSidecar(store ?? CLUSTER_STORE);
    const readings = new Map<string, SecretReading>();
    for (const name of names) {
      const reading = secrets.get(namespace, name);
      if (reading === null) return null;
      readings.set(name, reading);
    }
    return resolve(references, readings, { namespace, grant: grantCommand(installation, namespace) });
  }

  /** Absent, "kubernetes", or the name of a Component that stands for the cluster's own Secrets. */
  #isResolvedHere(namespace: string, store: string | null): boolean {
    if (store === null || store === CLUSTER_STORE) return true;
    return isClusterStore(this.#context.components.get(objectKey(namespace, store)));
  }

  #addUsersOf(key: ObjectKey): void {
    const { namespace, name } = splitKey(key);
    for (const [user, { judgement }] of this.#judged)
      if (judgement.component.secretStore === name && splitKey(user).namespace === namespace) this.#queue?.add(user);
  }

  #remove(key: ObjectKey): "same" {
    const { table, secrets, status } = this.#context;
    const { namespace, name } = splitKey(key);
    table.remove("Component", namespace, name);
    secrets.refer(key, namespace, []);
    status.forget(key);
    this.#judged.delete(key);
    this.#settled?.add(key);
    this.#count(key, null);
    return "same";
  }

  #count(key: ObjectKey, status: ComponentStatus | null): void {
    const ready = status?.conditions.find(({ type }) => type === "Ready")?.status ?? null;
    if (ready === (this.#ready.get(key) ?? null)) return;
    if (ready === null) this.#ready.delete(key);
    else this.#ready.set(key, ready);
    const counts = { True: 0, False: 0, Unknown: 0 };
    for (const each of this.#ready.values()) counts[each]++;
    this.#context.metrics.components(counts);
  }
}

function isClusterStore(object: ResourceObject | undefined): boolean {
  const spec: unknown = object?.spec;
  return typeof spec === "object" && spec !== null && "type" in spec && spec.type === CLUSTER_STORE_TYPE;
}
