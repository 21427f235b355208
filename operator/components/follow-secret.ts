// The watch of one Secret by its name: only its metadata comes, so no value of a Secret is in the cache of a watch.
import type { KubeContext } from "../kube/context.ts";
import { Reflector } from "../kube/reflector.ts";
import { noOperatorMetrics, type OperatorMetrics } from "../metrics.ts";
import type { FollowSecret } from "./secret-watch.ts";

/** Needs `list` and `watch` on Secrets of the namespace; without them it goes on trying, more and more slowly. */
export function secretFollower(context: KubeContext): FollowSecret {
  // How many objects such a watch holds, none or one, would stand in the metric for all Secrets.
  const metrics: OperatorMetrics = {
    ...noOperatorMetrics,
    watchRestarted: (resource, cause) => context.metrics.watchRestarted(resource, cause),
  };
  return (namespace, name, changed) => {
    const reflector = new Reflector(
      { ...context, metrics },
      {
        apiVersion: "v1",
        plural: "secrets",
        namespaces: [namespace],
        fieldSelector: `metadata.name=${name}`,
        metadataOnly: true,
        trim: ({ metadata: { name, uid, resourceVersion } }) => ({
          metadata: { name, namespace, uid, resourceVersion },
        }),
      },
    );
    reflector.cache.onChange(changed);
    reflector.start();
    return () => void reflector.close();
  };
}
