// gRPC as a way to call a sidecar: by the methods of Dapr's state API, or with Pannier's bulk writes in place of single ones.
import { GrpcClient } from "#test/wire/grpc-client.ts";
import { GET_METADATA } from "#test/wire/grpc-methods.ts";
import type { Surface } from "../surface.ts";
import { describedOverGrpc } from "./described.ts";
import { GrpcBulkStore } from "./grpc-bulk-store.ts";
import { DESCRIBE, GrpcStore } from "./grpc-store.ts";
import { type Api, BODY_BYTES_MAX } from "./over.ts";

const surface: Surface = {
  calls: "api",
  keysWithBars: "refused",
  spaceAroundJson: "kept",
  removalEtag: "text",
  manyRawTexts: "bytes",
  toldExpiryStepMs: 1000,
  pageBytesMax: BODY_BYTES_MAX,
};

export const grpc: Api = by(GrpcStore, "gRPC");
export const grpcBulk: Api = by(GrpcBulkStore, "gRPC in bulk");

function by(Type: typeof GrpcStore, name: string): Api {
  return {
    name,
    surface,
    async connect(wire, storeName, untold) {
      const client = new GrpcClient(`127.0.0.1:${wire.sidecar.grpcPort}`);
      const store = await client.get(DESCRIBE, { storeName });
      const described = describedOverGrpc(store, await client.get(GET_METADATA, {}), untold);
      return new Type({ client, name: storeName, described });
    },
  };
}
