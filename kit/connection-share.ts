// Who gives way when a server has no room for another connection: the address that has the most, so that no client keeps
// all others out by connections that cost it nothing. Knows of HTTP only that there are requests.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";

/** An address that has no more than this gives none away: then it is the new one that is broken off. */
export const ADDRESS_FEW = 8;

interface Held {
  readonly socket: Socket;
  requests: number;
}

export class ConnectionShare {
  readonly #most: number;
  /** By address, then by port, oldest first. A TLS connection has those of the one below it. */
  readonly #held = new Map<string, Map<number, Held>>();
  #count = 0;

  /** Follows the server from now on; of more than `most` connections that were not released one is broken off. */
  constructor(server: Server, most: number) {
    this.#most = most;
    server.on("connection", (socket: Socket) => this.#add(socket));
    server.on("request", (request: IncomingMessage, response: ServerResponse) => this.#follow(request, response));
  }

  /** Connections that count. */
  get count(): number {
    return this.#count;
  }

  /** It counts no more: something else bounds how many there are of its kind. */
  release({ remoteAddress, remotePort }: Socket): void {
    if (remoteAddress !== undefined && remotePort !== undefined) this.#remove(remoteAddress, remotePort);
  }

  #add(socket: Socket): void {
    const { remoteAddress: address, remotePort: port } = socket;
    // Gone already.
    if (address === undefined || port === undefined) return;
    const own = this.#held.get(address) ?? new Map<number, Held>();
    this.#held.set(address, own);
    const held: Held = { socket, requests: 0 };
    own.set(port, held);
    this.#count++;
    socket.once("close", () => {
      if (own.get(port) === held) this.#remove(address, port);
    });
    if (this.#count > this.#most) this.#breakOff(address, port);
  }

  #follow({ socket }: IncomingMessage, response: ServerResponse): void {
    const held = this.#held.get(socket.remoteAddress ?? "")?.get(socket.remotePort ?? 0);
    if (held === undefined) return;
    held.requests++;
    response.once("close", () => held.requests--);
  }

  /** Of the address with the most the oldest that asks for nothing, else the oldest; the new one where all have few. */
  #breakOff(newAddress: string, newPort: number): void {
    let [address, port] = [newAddress, newPort];
    let most = Math.max(ADDRESS_FEW, this.#held.get(newAddress)?.size ?? 0);
    for (const [each, held] of this.#held) {
      if (held.size <= most) continue;
      most = held.size;
      address = each;
      const [oldest] = held.keys();
      port = [...held].find(([, { requests }]) => requests === 0)?.[0] ?? oldest ?? newPort;
    }
    const { socket } = this.#held.get(address)?.get(port) ?? {};
    this.#remove(address, port);
    socket?.destroy();
  }

  #remove(address: string, port: number): void {
    const held = this.#held.get(address);
    if (held?.delete(port) !== true) return;
    this.#count--;
    if (held.size === 0) this.#held.delete(address);
  }
}
