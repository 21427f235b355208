// An HTTP server on 127.0.0.1 in front of Vercel's emulator of Cosmos DB, for clients other than Microsoft's for Node: adds
// to each request the header without which the emulator answers a read of a missing document with 500, and puts its own
// port into what the emulator tells of itself, since a client goes where that says.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";

export class CosmosFront {
  readonly #target: { readonly port: number };
  readonly #server: Server;

  private constructor(target: { readonly port: number }) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => this.#pass(incoming, outgoing));
  }

  static async start(target: { readonly port: number }): Promise<CosmosFront> {
    const front = new CosmosFront(target);
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  get #port(): number {
    const address = this.#server.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  #pass(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method, url: path } = incoming;
    const headers = { ...incoming.headers, "x-ms-documentdb-query-enablecrosspartition": "True" };
    const { port } = this.#target;
    const onward = request({ host: "127.0.0.1", port, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.once("end", () => {
        const text = Buffer.concat(chunks).toString();
        const body = path === "/" ? text.replaceAll(`:${port}/`, `:${this.#port}/`) : text;
        const { "content-length": _length, "transfer-encoding": _encoding, ...rest } = answer.headers;
        outgoing.writeHead(answer.statusCode ?? 500, rest).end(body);
      });
    });
    onward.on("error", () => outgoing.socket?.resetAndDestroy());
    incoming.pipe(onward);
  }
}
