// Where version v2 keeps its rows, on each of the databases that have it (dapr-state-stores.md 4b).
import type { V2Settings } from "./fields.ts";
import type { Layout } from "./layout.ts";
import type { Place } from "./opening.ts";
import type { Product } from "./product.ts";

export function v2Place({ tablePrefix }: Readonly<V2Settings>, product: Product, layout: Layout): Place {
  return {
    product,
    layout,
    stateTable: `${tablePrefix}state`,
    levelKey: `migrations-state-v2-${tablePrefix}`,
    cleanupKey: `last-cleanup-state-v2-${tablePrefix}`,
  };
}
