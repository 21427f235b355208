// The sockets of a channel of gRPC from before they connect. The library hands them on once they have: an address that
// answers nothing would keep them, and the process, until the system gives up. Knows no TLS and no call.
import { subscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { type ChannelOptions, experimental } from "@grpc/grpc-js";

/** Called before the socket begins to connect. */
export type Keep = (socket: Socket) => void;

const SCHEME = "pannier";
const KEEP_OPTION = "pannier.keep";

type Endpoints = Parameters<experimental.ResolverListener>[0];

/** Whose socket the next one is. Set where Node reads the address, and told right afterwards that there is the socket. */
let next: Keep | null = null;

subscribe("net.client.socket", (message) => {
  const keep = next;
  next = null;
  if (keep !== null && typeof message === "object" && message !== null && "socket" in message) {
    if (message.socket instanceof Socket) keep(message.socket);
  }
});

/** What DNS says, with addresses that tell when they are connected to. */
class KeptResolver implements experimental.Resolver {
  readonly #dns: experimental.Resolver;

  constructor(target: experimental.GrpcUri, listener: experimental.ResolverListener, options: ChannelOptions) {
    const keep: Keep = options[KEEP_OPTION];
    const told: experimental.ResolverListener = (endpoints, ...more) => listener(kept(endpoints, keep), ...more);
    this.#dns = experimental.createResolver({ ...target, scheme: "dns" }, told, options);
  }

  static getDefaultAuthority({ path }: experimental.GrpcUri): string {
    return path;
  }

  updateResolution(): void {
    this.#dns.updateResolution();
  }

  destroy(): void {
    this.#dns.destroy();
  }
}

experimental.registerResolver(SCHEME, KeptResolver);

/** How a channel names its server, "etcd-0:2379", and what goes with it, for `keep` to be called with each new socket. */
export function keptTarget(address: string, keep: Keep): { readonly target: string; readonly options: ChannelOptions } {
  return { target: `${SCHEME}:${address}`, options: { [KEEP_OPTION]: keep } };
}

function kept(endpoints: Endpoints, keep: Keep): Endpoints {
  if (!endpoints.ok) return endpoints;
  const value = endpoints.value.map(({ addresses }) => ({
    addresses: addresses.map((address) => announced(address, keep)),
  }));
  return { ok: true, value };
}

/** Node's `net` looks for a signal in the address that it connects to; there is none. */
function announced(address: experimental.SubchannelAddress, keep: Keep): experimental.SubchannelAddress {
  const signal = {
    enumerable: true,
    get(): undefined {
      next = keep;
    },
  };
  return Object.defineProperty({ ...address }, "signal", signal);
}
