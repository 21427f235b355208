// The operator's certificate, of its own CA or of somebody else's files, and all that has to know of it: the API server,
// the sidecars, whoever looks at metrics and Events. Puts the parts of certificates/ together.
import { openAuthority } from "./certificates/authority.ts";
import { CaBundle } from "./certificates/ca-bundle.ts";
import { watchExpiry } from "./certificates/expiry.ts";
import { openFiles } from "./certificates/files.ts";
import type { CertificateSource } from "./certificates/source.ts";
import { TrustBundles } from "./certificates/trust-bundles.ts";
import type { OperatorFlags } from "./flags.ts";
import type { Cache } from "./kube/cache.ts";
import type { KubeContext } from "./kube/context.ts";
import type { Events } from "./kube/events.ts";
import type { KubeObject } from "./kube/object.ts";
import type { Leadership } from "./leadership.ts";
import { SidecarNamespaces } from "./pods/namespaces.ts";
import { requiredNames, serviceNames } from "./settings.ts";

export interface CertificatesOptions {
  readonly kube: KubeContext;
  readonly flags: Readonly<OperatorFlags>;
  readonly events: Events;
  readonly leadership: Leadership;
  readonly pods: Cache<KubeObject>;
  /** Ends the wait for a first CA. */
  readonly stopping: AbortSignal;
}

/** What was opened is added to `closing`. */
export async function openCertificates(
  { kube, flags, events, leadership, pods, stopping }: CertificatesOptions,
  closing: (() => unknown)[],
): Promise<CertificateSource> {
  const { client, clock, log, metrics } = kube;
  const { namespace } = flags;
  const mayWrite = (): boolean => leadership.isLeader;
  let bundle: CaBundle | null = null;
  // Where no webhook is named, its caBundle is somebody else's business.
  const isPublished = (trustAnchors: string): boolean => bundle === null || bundle.isPublished(trustAnchors);
  const folder = flags["certificates-folder"];
  const source =
    folder === ""
      ? await openAuthority(
          { client, namespace, names: serviceNames(flags), mayRotate: mayWrite, isPublished, clock, log },
          stopping,
        )
      : await openFiles({ folder, names: requiredNames(flags), isPublished, clock, log });
  closing.push(() => source.close());
  const name = flags["webhook-name"];
  if (name !== "") {
    const opened = new CaBundle({ client, name, source, mayWrite, clock, log });
    bundle = opened;
    closing.push(() => opened.close());
    // A replica that begins to lead writes at once what it could only look at before.
    closing.push(leadership.onChange(() => void opened.check()));
  }
  if (flags["trust-bundle"]) {
    const namespaces = new SidecarNamespaces(pods);
    closing.push(() => namespaces.close());
    const owner = (): CaBundle["owner"] => bundle?.owner ?? null;
    const bundles = new TrustBundles({ client, namespaces, source, owner, mayWrite, clock, log });
    closing.push(() => bundles.close());
    closing.push(leadership.onChange(() => void bundles.check()));
  }
  const about = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: flags["pod-name"], namespace, uid: "", resourceVersion: "" },
  };
  // Every replica has the same CA, so one of them tells of it.
  const told: Events = { tell: (event) => (mayWrite() ? events.tell(event) : undefined) };
  closing.push(watchExpiry({ source, metrics, events: told, about, clock, log }));
  return source;
}
