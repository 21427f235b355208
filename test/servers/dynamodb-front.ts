// An HTTP server on 127.0.0.1 in front of a DynamoDB Local: keeps what it was asked, passes it on, and where a test says so
// answers in the service's place, as the service does when it throttles, refuses or fails.
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";

export interface Asked {
  /** "PutItem". */
  readonly operation: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Record<string, unknown>;
}

/**
 * pass: to the server behind. error: this answer. cut: the connection breaks and the server is not asked. cut-after: it
 * breaks once the server has answered. hang: no answer.
 */
export type FrontAnswer =
  | "pass"
  | "cut"
  | "cut-after"
  | "hang"
  | {
      readonly status: number;
      readonly type: string;
      readonly members?: object;
      readonly headers?: Record<string, string>;
    }
  | { readonly status: number; readonly text: string };

export class DynamoFront {
  /** In the order in which they came. */
  readonly asked: Asked[] = [];
  /** Decides about each request. */
  answer: (asked: Asked) => FrontAnswer = () => "pass";
  readonly #server: Server;
  readonly #target: number;

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer((incoming, outgoing) => void this.#serve(incoming, outgoing));
  }

  static async start(target: { readonly port: number }): Promise<DynamoFront> {
    const front = new DynamoFront(target.port);
    await new Promise<void>((resolve) => front.#server.listen(0, "127.0.0.1", resolve));
    return front;
  }

  get endpoint(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}`;
  }

  /** Gives these answers to the next requests of an operation, one each, and passes on all others. */
  next(operation: string, ...answers: readonly FrontAnswer[]): void {
    const left = [...answers];
    this.answer = (asked) => (asked.operation === operation ? (left.shift() ?? "pass") : "pass");
  }

  /** The requests of an operation so far. */
  of(operation: string): readonly Asked[] {
    return this.asked.filter((asked) => asked.operation === operation);
  }

  /** How many connections are open, busy or idle. */
  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const operation = String(incoming.headers["x-amz-target"]).replace("DynamoDB_20120810.", "");
    const asked: Asked = { operation, headers: incoming.headers, body: JSON.parse(body.toString()) };
    this.asked.push(asked);
    const answer = this.answer(asked);
    if (answer === "hang") return;
    if (answer === "cut") return void outgoing.socket?.resetAndDestroy();
    if (answer === "pass" || answer === "cut-after")
      return this.#pass(incoming, body, outgoing, answer === "cut-after");
    if ("text" in answer)
      return void outgoing.writeHead(answer.status, { "content-type": "text/html" }).end(answer.text);
    const { status, type, members, headers } = answer;
    outgoing.writeHead(status, { "content-type": "application/x-amz-json-1.0", ...headers });
    outgoing.end(
      JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: "as told", ...members }),
    );
  }

  #pass({ headers }: IncomingMessage, body: Buffer, outgoing: ServerResponse, cut: boolean): void {
    const onward = request(
      { host: "127.0.0.1", port: this.#target, method: "POST", headers, agent: false },
      (answer) => {
        if (!cut) {
          outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
          answer.pipe(outgoing);
          return;
        }
        answer.resume();
        answer.once("end", () => outgoing.socket?.resetAndDestroy());
      },
    );
    // The server behind may be gone; then so is this connection.
    onward.on("error", () => outgoing.socket?.resetAndDestroy());
    onward.end(body);
  }
}
