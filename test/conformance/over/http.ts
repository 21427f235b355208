// HTTP as a way to call a sidecar: by the routes of Dapr's state API, or with Pannier's bulk writes in place of single ones.
import type { WireSidecar } from "#test/wire/sidecar.ts";
import type { Surface } from "../surface.ts";
import { describedOverHttp, type MetadataOverHttp, type ToldOverHttp } from "./described.ts";
import { grpc } from "./grpc.ts";
import { HttpBulkStore } from "./http-bulk-store.ts";
import { HttpClient } from "./http-client.ts";
import { HttpStore } from "./http-store.ts";
import { type Api, BODY_BYTES_MAX } from "./over.ts";

const surface: Surface = {
  calls: "api",
  keysWithBars: "refused",
  spaceAroundJson: "dropped",
  removalEtag: "header",
  manyRawTexts: "json-string",
  toldExpiryStepMs: 1000,
  pageBytesMax: 16 * BODY_BYTES_MAX,
};

export const http: Api = by(HttpStore, { name: "HTTP", surface });
export const httpBulk: Api = by(HttpBulkStore, { name: "HTTP in bulk", surface: { ...surface, removalEtag: "text" } });

function by(Type: typeof HttpStore, shared: Omit<Api, "connect">): Api {
  return {
    ...shared,
    async connect(wire, name, untold) {
      const store = await tell<ToldOverHttp>(wire, `/pannier/v1/state/${name}`);
      const described = describedOverHttp(store, await tell<MetadataOverHttp>(wire, "/v1.0/metadata"), untold);
      const raw = await grpc.connect(wire, name, untold);
      return new Type({ client: new HttpClient(wire.sidecar.httpPort), name, described, raw });
    },
  };
}

async function tell<T>(wire: WireSidecar, path: string): Promise<T> {
  const { status, text } = await wire.ask("GET", path);
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`);
  return JSON.parse(text);
}
