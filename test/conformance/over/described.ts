// What a sidecar tells about a store, which is what the store over the API declares: both protocols are asked.
import type { GetMetadataResponse } from "#proto/gen/dapr/proto/runtime/v1/metadata.ts";
import type { DescribeStoreResponse } from "#proto/gen/pannier/v1/state.ts";
import type { Features, Limits, Store, Traits } from "#sidecar/stores/store.ts";

export type Described = Pick<Store, "features" | "limits" | "traits" | "capabilities" | "defaultTtlSec">;

export interface ToldOverHttp {
  readonly features: Features;
  readonly limits: Limits & { readonly requestBytesMax: number | null };
  readonly defaultTtlSec: number | null;
  readonly consistency: Pick<Traits, "strongRead" | "strongWrite">;
  readonly traits: Omit<Traits, "strongRead" | "strongWrite" | "etagMayBeQuoted">;
}

export interface MetadataOverHttp {
  readonly components: readonly { readonly name: string; readonly capabilities: readonly string[] }[];
}

/** From `GET /pannier/v1/state/{store}` and `GET /v1.0/metadata`. */
export function describedOverHttp(store: ToldOverHttp, metadata: MetadataOverHttp, untold: Untold): Described {
  const { features, defaultTtlSec, consistency, traits } = store;
  const { requestBytesMax: _, ...limits } = store.limits;
  const capabilities = metadata.components.flatMap((component) => component.capabilities);
  return {
    features,
    limits,
    traits: { ...untold, ...traits, ...consistency },
    capabilities: ofStore(capabilities),
    defaultTtlSec,
  };
}

/** What no client has to know: it is there for `If-Match` alone. */
export type Untold = Pick<Traits, "etagMayBeQuoted">;

/** From DescribeStore and GetMetadata. */
export function describedOverGrpc(
  { features, limits, traits, defaultTtlSeconds }: DescribeStoreResponse,
  { registeredComponents }: GetMetadataResponse,
  untold: Untold,
): Described {
  if (features === undefined || limits === undefined || traits === undefined) throw new Error("an empty description");
  const capabilities = registeredComponents.flatMap((component) => component.capabilities);
  return {
    features,
    limits: {
      valueBytesMax: limits.valueBytesMax ?? null,
      keyBytesMax: limits.keyBytesMax ?? null,
      operationsMax: limits.operationsMax ?? null,
      ttlSecMin: limits.ttlSecondsMin,
    },
    // The same words, as texts.
    traits: { ...untold, ...traits } as Traits,
    capabilities: ofStore(capabilities),
    defaultTtlSec: defaultTtlSeconds ?? null,
  };
}

/** The API adds a capability of its own wherever ETags and transactions are (dapr-state-api.md 8.1). */
function ofStore(capabilities: readonly string[]): readonly string[] {
  return capabilities.filter((word) => word !== "ACTOR");
}
