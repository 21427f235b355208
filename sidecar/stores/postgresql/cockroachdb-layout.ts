// The layouts of state.cockroachdb: v1 has an ETag of its own in place of xmin, which CockroachDB has not
// (dapr-state-stores.md 5b, 5c). Knows no connection.
import { type Layout, type V1Options, v1Layout } from "./layout.ts";

/** What a strong call means there, whatever the version. */
export function onCockroach(layout: Layout): Layout {
  const strongRead =
    "the same as any read: the holder of the key's lease is asked, and shows all that were answered before";
  const strongWrite = "most replicas of the key have it on their disks, as every write that is answered";
  return { ...layout, traits: { ...layout.traits, strongRead, strongWrite } };
}

/**
 * The ETag counts writes from 1. Each overwrite raises it, where Dapr's own statement sets it to 2 whatever it was, so that
 * two values of one key have the same. A row of another writer's may have none.
 */
export function cockroachLayout(options: V1Options): Layout {
  const layout = v1Layout(options);
  return onCockroach({
    ...layout,
    columns: {
      ...layout.columns,
      etag: { name: "etag", type: "int8" },
      made: { name: "etag", sql: "1" },
      touch: `${layout.columns.touch}, etag = coalesce(held.etag, 0) + 1`,
    },
  });
}
