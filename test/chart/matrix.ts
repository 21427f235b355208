// Values that the chart is rendered for, each combination one that somebody would want.

export interface Row {
  readonly name: string;
  readonly values: object;
  readonly kubeVersion?: string;
}

/** `served`: a namespace that exists. */
export function matrix(served: string): readonly Row[] {
  return [
    { name: "defaults", values: {} },
    { name: "one replica", values: { operator: { replicas: 1 } } },
    {
      name: "beside Dapr",
      values: { crds: { install: false }, admissionPolicy: { action: "Off" }, webhook: { daprAnnotation: false } },
    },
    { name: "Secrets of some namespaces", values: { secrets: { namespaces: [served] } } },
    { name: "Secrets of all namespaces", values: { secrets: { allNamespaces: true } } },
    { name: "some namespaces", values: { watchNamespaces: [served], secrets: { namespaces: [served] } } },
    {
      name: "certificates of cert-manager",
      values: { certificates: { secretName: "pannier-tls", trustBundle: false } },
    },
    { name: "a service account that is there", values: { serviceAccount: { create: false, name: "default" } } },
    {
      name: "everything watched",
      values: {
        networkPolicy: { enabled: true, metricsFrom: [{ namespaceSelector: { matchLabels: { team: "monitoring" } } }] },
        serviceMonitor: { enabled: true, labels: { release: "prometheus" } },
        podMonitor: { enabled: true, interval: "15s" },
        dashboards: { enabled: true, annotations: { grafana_folder: "Pannier" } },
        admissionPolicy: { action: "Deny" },
      },
    },
    {
      name: "a registry, a proxy and a cluster that is strict",
      values: {
        image: {
          repository: "registry.example:5000/team/pannier",
          tag: "9",
          pullPolicy: "Always",
          pullSecrets: ["pull"],
        },
        operator: {
          replicas: 3,
          priorityClassName: "system-cluster-critical",
          nodeSelector: { "kubernetes.io/os": "linux" },
          tolerations: [{ key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
          affinity: { nodeAffinity: {} },
          topologySpreadConstraints: [
            { topologyKey: "topology.kubernetes.io/zone", maxSkew: 1, whenUnsatisfiable: "DoNotSchedule" },
          ],
          podLabels: { team: "platform" },
          podAnnotations: { "example.com/note": "yes" },
          hostNetwork: true,
          ports: { webhook: 18_443 },
          podDisruptionBudget: { maxUnavailable: "50%" },
        },
        sidecar: { native: "false", runAsUser: -1, resources: { limits: { memory: "" } } },
        webhook: {
          excludedNamespaces: ["kube-public"],
          namespaceSelector: {
            matchLabels: { pannier: "on" },
            matchExpressions: [{ key: "tier", operator: "Exists" }],
          },
          objectSelector: { matchLabels: { sidecar: "yes" } },
        },
        cleanup: { enabled: false },
      },
    },
    { name: "Kubernetes 1.29", values: {}, kubeVersion: "1.29.0" },
    { name: "Kubernetes 1.25", values: {}, kubeVersion: "1.25.0" },
  ];
}
