// An app on the node as a test sees it: its one pod, its sidecar's container, and requests that go from the test to the
// app and from there to the sidecar.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { type Node, until } from "./node.ts";

const PORT = 8080;
/** Of the sidecar: for probes, and for metrics. The operator has the latter too. */
const PUBLIC_PORT = 3501;
const METRICS_PORT = 9090;
const ASK_TIMEOUT_MS = 10_000;
/** Between two requests of a load. */
const LOAD_PAUSE_MS = 10;
export const STORE = "/v1.0/state/statestore";

/** As far as these tests look into one. */
export interface PodView {
  readonly metadata: { readonly name: string; readonly uid: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly ContainerView[]; readonly initContainers?: readonly ContainerView[] };
  readonly status: {
    readonly podIP: string;
    readonly phase: string;
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}
export interface ContainerView {
  readonly name: string;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly volumeMounts: readonly { readonly mountPath: string }[];
}
interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
}

export class App {
  readonly #node: Node;
  readonly #namespace: string;
  readonly #name: string;

  constructor(node: Node, { namespace, name }: { readonly namespace: string; readonly name: string }) {
    this.#node = node;
    this.#namespace = namespace;
    this.#name = name;
  }

  /** Its one pod that is not on its way out. */
  async pod(): Promise<PodView> {
    const args = ["-n", this.#namespace, "get", "pods", "-l", `app=${this.#name}`, "-o", "json"];
    const { items }: { items: readonly PodView[] } = JSON.parse(await this.#node.kubectl(args));
    const [only, ...others] = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    if (only === undefined || others.length > 0) throw new Error(`${this.#name}: got ${items.length} pods, want one`);
    return only;
  }

  async sidecar(): Promise<ContainerStatus> {
    const { status } = await this.pod();
    const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    return all.find(({ name }) => name === "daprd") ?? assert.fail(`${this.#name} has no sidecar`);
  }

  /** Until app and sidecar are ready in the one pod. */
  async ready(): Promise<void> {
    await until(`${this.#name} is ready`, async () => {
      const { status } = await this.pod();
      const all = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
      return all.length === 2 && all.every(({ ready }) => ready);
    });
  }

  async ask(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly text: string }> {
    return askAt((await this.pod()).status.podIP, method, path, body);
  }

  /** Saves a value and reads it back. */
  async keeps(key: string, value: unknown): Promise<void> {
    await keepsAt((await this.pod()).status.podIP, key, value);
  }

  /** Until the sidecar's stream from the operator is up, or is not. */
  async connected(wanted: boolean): Promise<void> {
    await until(`the operator is ${wanted ? "" : "not "}connected`, async () => {
      const metrics = await metricsAt((await this.pod()).status.podIP);
      return new RegExp(`^pannier_operator_connected\\S* ${wanted ? 1 : 0}$`, "m").test(metrics);
    });
  }

  /** What the kubelet is told at the sidecar's own port for probes. */
  async health(): Promise<string> {
    const { podIP } = (await this.pod()).status;
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    return (await fetch(`http://${podIP}:${PUBLIC_PORT}/v1.0/healthz`, { signal })).text();
  }

  /** The sidecar's container ends, as by a crash, and the kubelet starts it anew in the same pod. Resolves when it has. */
  async restartSidecar(): Promise<void> {
    const { restartCount } = await this.sidecar();
    await this.ask("POST", "/v1.0/shutdown");
    await until(
      "the sidecar's container has restarted",
      async () => (await this.sidecar()).restartCount > restartCount,
    );
  }

  /** Saves and reads all the while, one request after the other; rejects when one is not answered as it should be. */
  async underLoad(task: () => Promise<void>): Promise<void> {
    const { podIP } = (await this.pod()).status;
    let isOver = false;
    const requests = (async () => {
      for (let count = 1; !isOver; count++) {
        await keepsAt(podIP, "load", count);
        await pause(LOAD_PAUSE_MS);
      }
    })();
    // What the task throws comes first.
    requests.catch(() => undefined);
    try {
      await task();
    } finally {
      isOver = true;
    }
    await requests;
  }
}

async function askAt(address: string, method: string, path: string, body?: unknown) {
  const options = {
    method,
    signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const answer = await fetch(`http://${address}:${PORT}${path}`, options);
  return { status: answer.status, text: await answer.text() };
}

async function keepsAt(address: string, key: string, value: unknown): Promise<void> {
  const saved = await askAt(address, "POST", STORE, [{ key, value }]);
  assert.equal(saved.status, 204, saved.text);
  const { status, text } = await askAt(address, "GET", `${STORE}/${key}`);
  assert.deepEqual([status, text], [200, JSON.stringify(value)]);
}

/** Of a sidecar or of the operator. */
export async function metricsAt(address: string): Promise<string> {
  const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
  return (await fetch(`http://${address}:${METRICS_PORT}/metrics`, { signal })).text();
}
