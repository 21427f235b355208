// Pods with sidecars as the API server knows them: objects that nothing runs, tokens that are bound to them, and the
// rights of an operator that looks at them.
import { TOKEN_AUDIENCE } from "#crds/distribution.ts";
import type { OperatorAccount } from "#operator/api/authorize.ts";
import type { Cache } from "#operator/kube/cache.ts";
import type { KubeClient } from "#operator/kube/client.ts";
import type { KubeContext } from "#operator/kube/context.ts";
import type { KubeObject } from "#operator/kube/object.ts";
import { Reflector } from "#operator/kube/reflector.ts";
import type { Bed } from "#test/cluster/bed.ts";
import { kubeContext } from "#test/cluster/kube-context.ts";
import { until } from "#test/wire/until.ts";

/** Requests of a test under way at once. */
const AT_ONCE = 20;

/** A service account with exactly the rights that the distribution API needs, over the whole cluster. */
export class OperatorRights {
  readonly account: OperatorAccount;
  readonly kubeconfig: string;
  readonly #bed: Bed;

  private constructor(bed: Bed, account: OperatorAccount, kubeconfig: string) {
    this.#bed = bed;
    this.account = account;
    this.kubeconfig = kubeconfig;
  }

  static async grant(bed: Bed): Promise<OperatorRights> {
    const namespace = await bed.namespace();
    const account = { namespace, serviceAccount: "pannier-operator" };
    const apiGroup = "rbac.authorization.k8s.io";
    const role = {
      apiVersion: `${apiGroup}/v1`,
      kind: "ClusterRole",
      metadata: { name: namespace },
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
        { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
      ],
    };
    const binding = {
      apiVersion: `${apiGroup}/v1`,
      kind: "ClusterRoleBinding",
      metadata: { name: namespace },
      subjects: [{ kind: "ServiceAccount", name: account.serviceAccount, namespace }],
      roleRef: { apiGroup, kind: "ClusterRole", name: namespace },
    };
    for (const object of [role, binding]) await bed.kubectl(["create", "-f", "-"], JSON.stringify(object));
    const user = `system:serviceaccount:${namespace}:${account.serviceAccount}`;
    const groups = ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
    return new OperatorRights(bed, account, await bed.kubeconfigFor(user, groups));
  }

  async revoke(): Promise<void> {
    const { namespace } = this.account;
    await this.#bed.kubectl(["delete", `clusterrole/${namespace}`, `clusterrolebinding/${namespace}`]);
  }
}

/** The watch on pods that an operator has: metadata only. */
export class PodWatch {
  readonly context: KubeContext;
  readonly #reflector: Reflector<KubeObject>;

  private constructor(kubeconfig: string) {
    this.context = kubeContext(kubeconfig);
    this.#reflector = new Reflector(this.context, {
      apiVersion: "v1",
      plural: "pods",
      namespaces: [],
      metadataOnly: true,
      trim: ({ metadata }) => ({ metadata }),
    });
  }

  static async start(kubeconfig: string): Promise<PodWatch> {
    const watch = new PodWatch(kubeconfig);
    watch.#reflector.start();
    await until("pods are listed", () => watch.cache.synced);
    return watch;
  }

  get client(): KubeClient {
    return this.context.client;
  }

  get cache(): Cache<KubeObject> {
    return this.#reflector.cache;
  }

  async close(): Promise<void> {
    await this.#reflector.close();
    this.context.client.close();
  }
}

/** The pods of one namespace, all of one service account. */
export class SidecarPods {
  readonly namespace: string;
  readonly #account: string;
  readonly #client: KubeClient;
  readonly #uids = new Map<string, string>();

  private constructor(namespace: string, account: string, client: KubeClient) {
    this.namespace = namespace;
    this.#account = account;
    this.#client = client;
  }

  /** Of the account `default`, or of one of the given account's name, made for it. */
  static async inFreshNamespace(bed: Bed, account?: OperatorAccount): Promise<SidecarPods> {
    const namespace = await bed.namespace();
    const name = account?.serviceAccount ?? "default";
    if (account !== undefined) await bed.kubectl(["-n", namespace, "create", "serviceaccount", name]);
    return new SidecarPods(namespace, name, kubeContext(bed.kubeconfig).client);
  }

  async create(name: string, annotations: Readonly<Record<string, string>>): Promise<void> {
    const made = await this.#client.request<KubeObject>({
      method: "POST",
      path: this.#path("pods"),
      body: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, annotations },
        spec: { serviceAccountName: this.#account, containers: [{ name: "app", image: "none" }] },
      },
    });
    this.#uids.set(name, made.metadata.uid);
  }

  async createAll(
    names: readonly string[],
    annotations: (name: string) => Readonly<Record<string, string>>,
  ): Promise<void> {
    await eachOf(names, (name) => this.create(name, annotations(name)));
  }

  /** At once, as a kubelet does it in the end. */
  async delete(name: string): Promise<void> {
    const query = { gracePeriodSeconds: "0" };
    await this.#client.request({ method: "DELETE", path: this.#path(`pods/${name}`), query });
  }

  /** A token as the kubelet asks for it: bound to the pod. */
  token(pod: string, audience: string = TOKEN_AUDIENCE): Promise<string> {
    const uid = this.#uids.get(pod) ?? "";
    return this.#token({ audience, boundObjectRef: { apiVersion: "v1", kind: "Pod", name: pod, uid } });
  }

  unboundToken(): Promise<string> {
    return this.#token({ audience: TOKEN_AUDIENCE });
  }

  tokens(pods: readonly string[]): Promise<string[]> {
    return eachOf(pods, (pod) => this.token(pod));
  }

  close(): void {
    this.#client.close();
  }

  async #token({ audience, ...bound }: { audience: string; boundObjectRef?: object }): Promise<string> {
    const answer = await this.#client.request<{ readonly status: { readonly token: string } }>({
      method: "POST",
      path: this.#path(`serviceaccounts/${this.#account}/token`),
      body: {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { audiences: [audience], expirationSeconds: 3600, ...bound },
      },
    });
    return answer.status.token;
  }

  #path(rest: string): string {
    return `/api/v1/namespaces/${this.namespace}/${rest}`;
  }
}

/** Some at once, in their order. */
async function eachOf<T>(names: readonly string[], task: (name: string) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let from = 0; from < names.length; from += AT_ONCE) {
    results.push(...(await Promise.all(names.slice(from, from + AT_ONCE).map(task))));
  }
  return results;
}
