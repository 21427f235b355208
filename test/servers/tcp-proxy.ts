// A TCP proxy on 127.0.0.1 that can misbehave, to put between a client and a real server. Knows no protocol.
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePort } from "./free-port.ts";

/**
 * pass: bytes go both ways. refuse: connections are reset, old and new. black-hole: what comes in is swallowed.
 * cut-after-request: bytes go to the server, and the client's connection is dropped before anything comes back.
 */
export type ProxyMode = "pass" | "refuse" | "black-hole" | "cut-after-request";

export class TcpProxy {
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #sockets = new Set<Socket>();
  #mode: ProxyMode = "pass";
  #accepted = 0;

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#server = createServer((client) => this.#accept(client));
  }

  static async start(target: { readonly host: string; readonly port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    // One that nobody else is on once this has stopped.
    const port = await freePort();
    await new Promise<void>((resolve) => proxy.#server.listen(port, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** How many connections came in so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Holds for the connections that are open and for those to come. */
  set mode(mode: ProxyMode) {
    this.#mode = mode;
    if (mode === "refuse") this.cut();
  }

  /** Drops every open connection; new ones follow the mode. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #accept(client: Socket): void {
    this.#accepted++;
    if (this.#mode === "refuse") {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target);
    this.#keep(client, server);
    this.#keep(server, client);
    client.on("data", (chunk: Buffer) => this.#toServer(client, server, chunk));
    server.on("data", (chunk) => {
      if (this.#mode === "pass") client.write(chunk);
    });
  }

  #toServer(client: Socket, server: Socket, chunk: Buffer): void {
    if (this.#mode === "black-hole") return;
    // The client is dropped only once the server's side has the bytes, so that the request runs.
    server.write(chunk, () => {
      if (this.#mode === "cut-after-request") client.resetAndDestroy();
    });
  }

  #keep(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    // Broken connections are what this proxy is for; "close" follows and ends both halves.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      // Not destroyed: what was written to it still has to arrive.
      other.end();
    });
  }
}
