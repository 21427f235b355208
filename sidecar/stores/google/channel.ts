// How Google's services want a channel of gRPC. Knows no call.
import { Channel } from "../grpc/channel.ts";
import type { Endpoint } from "./endpoint.ts";

const KEEPALIVE_MS = 30_000;
const KEEPALIVE_ANSWER_MS = 5_000;

/** Those whom Node trusts, and nobody's certificate. */
const TLS = { ca: null, cert: null, key: null, nameless: "googleapis.com" };

/** Over TLS and the environment's proxy, unless it is an emulator. */
export function channelTo({ address, isService }: Endpoint): Channel {
  return new Channel({
    address,
    tls: isService ? TLS : null,
    options: {
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_ANSWER_MS,
      "grpc.enable_http_proxy": isService ? 1 : 0,
    },
  });
}
