// A front on 127.0.0.1 that ends TLS before a server which speaks none. Knows no protocol behind it.
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TlsOptions } from "node:tls";
import type { Certificates } from "./certificates.ts";

export interface TlsFrontOptions {
  /** Where the server is. */
  readonly target: { readonly host: string; readonly port: number };
  readonly certificates: Certificates;
  /** Take clients only that show a certificate of the authority; "tls-1.2": and speak this older version. */
  readonly clientCertificates?: boolean | "tls-1.2";
  /** Protocols that the front agrees to by ALPN, as "h2". */
  readonly protocols?: readonly string[];
}

export class TlsFront {
  readonly #server: Server;
  readonly #target: TlsFrontOptions["target"];
  readonly #sockets = new Set<Socket>();

  private constructor(options: TlsOptions, target: TlsFrontOptions["target"]) {
    this.#target = target;
    this.#server = createServer(options, (client) => this.#forward(client));
    // Also those that never get through the handshake.
    this.#server.on("connection", (socket: Socket) => this.#keep(socket));
    // A client that does not trust the certificate ends the handshake, and the front one that shows none.
    this.#server.on("tlsClientError", () => undefined);
  }

  static async start(options: TlsFrontOptions): Promise<TlsFront> {
    const { target, certificates, clientCertificates = false, protocols } = options;
    const front = new TlsFront(
      {
        ...(await contextOf(certificates)),
        ...(clientCertificates === false ? {} : { requestCert: true, rejectUnauthorized: true }),
        ...(clientCertificates === "tls-1.2" ? { maxVersion: "TLSv1.2" } : {}),
        ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
      },
      target,
    );
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** Shows these certificates from now on, and ends the connections that stand. */
  async show(certificates: Certificates): Promise<void> {
    this.#server.setSecureContext(await contextOf(certificates));
    this.#cut();
  }

  stop(): Promise<void> {
    this.#cut();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #forward(client: Socket): void {
    const server = connect(this.#target);
    this.#keep(server);
    client.pipe(server);
    server.pipe(client);
    client.on("error", () => client.destroy());
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // Broken connections are no news to a test; "close" follows.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function contextOf(certificates: Certificates): Promise<SecureContextOptions> {
  const { serverCertificateFile, serverKeyFile, authority: ca } = certificates;
  const [cert, key] = await Promise.all([readFile(serverCertificateFile), readFile(serverKeyFile)]);
  return { cert, key, ca };
}
