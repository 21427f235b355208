// The command that lets the operator read the Secrets of one more namespace, for messages. Runs nothing.

/** How the operator was installed. */
export interface Installation {
  /** Helm release; empty when it was installed without Helm. */
  readonly release: string;
  /** What `helm upgrade` is given as the chart. */
  readonly chart: string;
  /** The operator's own namespace and service account. */
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Whose Secrets it may read by now: the chart's value `secrets.namespaces`. */
  readonly secretNamespaces: readonly string[];
}

/** One line for a shell. Helm replaces a list as a whole, so those that are granted already are named again. */
export function grantCommand(installation: Installation, namespace: string): string {
  const { release, chart, serviceAccount } = installation;
  const own = installation.namespace;
  if (release === "") {
    const role = `kubectl -n ${namespace} create role pannier-secrets --verb=get,list,watch --resource=secrets`;
    const subject = `--role=pannier-secrets --serviceaccount=${own}:${serviceAccount}`;
    return `${role} && kubectl -n ${namespace} create rolebinding pannier-secrets ${subject}`;
  }
  const all = [...new Set([...installation.secretNamespaces, namespace])].sort().join(",");
  return `helm upgrade ${release} ${chart} --namespace ${own} --reset-then-reuse-values --set 'secrets.namespaces={${all}}'`;
}
