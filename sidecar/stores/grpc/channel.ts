// A channel of gRPC whose connections end with it. The library leaves a connection open that was made while the channel
// closed, or whose server has not said a word yet, until that speaks or goes: a server that hangs would collect them.
// Knows no service and no call.
import { isIP, type Socket } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { type ChannelCredentials, type ChannelOptions, Client, credentials } from "@grpc/grpc-js";
import { keptTarget } from "./connecting.ts";

const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 2_000;

const OPTIONS: ChannelOptions = {
  "grpc.initial_reconnect_backoff_ms": RECONNECT_FIRST_MS,
  "grpc.max_reconnect_backoff_ms": RECONNECT_LONGEST_MS,
  // Messages are as large as the server lets them be.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // What is tried again is decided by the driver, by whether something may have been written.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // Connections end with the store, and not when a pool of the process looks after them next.
  "grpc.use_local_subchannel_pool": 1,
};

/** PEM texts; each is null where there is none of the Component's own. */
export interface Tls {
  readonly ca: Buffer | null;
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  /** The name that TLS asks for where the server is named by its address only: Node takes no address there. */
  readonly nameless: string;
}

export interface Target {
  /** "etcd-0:2379", "[::1]:2379". */
  readonly address: string;
  /** Null without TLS. */
  readonly tls: Tls | null;
  /** What the service wants besides: keep-alive, proxies. */
  readonly options: ChannelOptions;
}

export class Channel {
  readonly client: Client;
  /** By connection: what carries HTTP/2 over it; null while it is made, and while TLS is being agreed on. */
  readonly #carriers = new Map<Socket, Socket | null>();
  #isClosed = false;

  constructor({ address, tls, options }: Target) {
    const { security, names } =
      tls === null ? { security: credentials.createInsecure(), names: {} } : over(tls, address);
    this.#follow(security);
    const kept = keptTarget(address, (socket) => this.#keep(socket));
    this.client = new Client(kept.target, security, { ...OPTIONS, ...options, ...names, ...kept.options });
  }

  /** Calls under way go on. No call is on a connection that has not said a word: it ends at once. */
  close(): void {
    this.#isClosed = true;
    this.client.close();
    for (const [socket, carrier] of this.#carriers) if (carrier === null || carrier.bytesRead === 0) socket.destroy();
  }

  /** The connections are handed to the credentials, for TLS, and to nobody else. */
  #follow(security: ChannelCredentials): void {
    const create = security._createSecureConnector.bind(security);
    security._createSecureConnector = (...given) => {
      const connector = create(...given);
      const connect = connector.connect.bind(connector);
      connector.connect = async (socket) => {
        const secured = await connect(socket);
        if (!socket.destroyed) this.#carriers.set(socket, secured.socket);
        return secured;
      };
      return connector;
    };
  }

  #keep(socket: Socket): void {
    this.#carriers.set(socket, null);
    socket.once("close", () => this.#carriers.delete(socket));
    // The library may try again after its end. Not at once: Node connects a socket that was destroyed before it began.
    if (this.#isClosed) queueMicrotask(() => socket.destroy());
  }
}

interface Secured {
  readonly security: ChannelCredentials;
  /** Options of the channel that go with it. */
  readonly names: ChannelOptions;
}

function over({ ca, cert, key, nameless }: Tls, address: string): Secured {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0) return { security: credentials.createSsl(ca, key, cert), names: {} };
  // The certificate is still held against the address.
  const identity = (_name: string, certificate: PeerCertificate): Error | undefined =>
    checkServerIdentity(host, certificate);
  return {
    security: credentials.createSsl(ca, key, cert, { checkServerIdentity: identity }),
    names: { "grpc.ssl_target_name_override": nameless },
  };
}
