// A channel of gRPC whose connections end with it. The library leaves a connection open that was made while the channel
// closed, or whose server has not said a word yet, until that speaks or goes: a server that hangs would collect them.
// Knows no call.
import { isIP, type Socket } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { type ChannelCredentials, Client, credentials } from "@grpc/grpc-js";
import type { Endpoint } from "./endpoint.ts";

const RECONNECT_FIRST_MS = 100;
const RECONNECT_LONGEST_MS = 2_000;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_ANSWER_MS = 5_000;

const OPTIONS = {
  "grpc.initial_reconnect_backoff_ms": RECONNECT_FIRST_MS,
  "grpc.max_reconnect_backoff_ms": RECONNECT_LONGEST_MS,
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_ANSWER_MS,
  // Messages are as large as the service lets them be.
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // What is tried again is decided by the driver, by whether something may have been written.
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // Connections end with the store, and not when a pool of the process looks after them next.
  "grpc.use_local_subchannel_pool": 1,
};

export class Channel {
  readonly client: Client;
  readonly #sockets = new Set<Socket>();
  #isClosed = false;

  constructor({ address, isService }: Endpoint) {
    const { security, names } = isService ? tlsTo(address) : { security: credentials.createInsecure(), names: {} };
    this.#follow(security);
    const options = { ...OPTIONS, ...names, "grpc.enable_http_proxy": isService ? 1 : 0 };
    this.client = new Client(`dns:${address}`, security, options);
  }

  /** Calls under way go on. No call is on a connection that has not said a word: it ends at once. */
  close(): void {
    this.#isClosed = true;
    this.client.close();
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }

  /** The connections are handed to the credentials, for TLS, and to nobody else. */
  #follow(security: ChannelCredentials): void {
    const create = security._createSecureConnector.bind(security);
    security._createSecureConnector = (...given) => {
      const connector = create(...given);
      const connect = connector.connect.bind(connector);
      connector.connect = (socket) => {
        this.#keep(socket);
        return connect(socket);
      };
      return connector;
    };
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    if (this.#isClosed) socket.destroy();
  }
}

/** The name that TLS asks for where the service is named by its address only: Node takes no address there. */
const NAMELESS = "googleapis.com";

interface Secured {
  readonly security: ChannelCredentials;
  /** Options of the channel that go with it. */
  readonly names: { readonly "grpc.ssl_target_name_override"?: string };
}

function tlsTo(address: string): Secured {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
  if (isIP(host) === 0) return { security: credentials.createSsl(), names: {} };
  // The certificate is still held against the address.
  const identity = (_name: string, certificate: PeerCertificate): Error | undefined =>
    checkServerIdentity(host, certificate);
  return {
    security: credentials.createSsl(null, null, null, { checkServerIdentity: identity }),
    names: { "grpc.ssl_target_name_override": NAMELESS },
  };
}
