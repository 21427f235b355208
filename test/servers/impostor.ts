// Something else than a client expects behind an address: a TCP server on 127.0.0.1 that says the same, whatever it hears.
import { createServer, type Socket } from "node:net";

export interface Impostor {
  readonly address: string;
  stop(): Promise<void>;
}

export interface ImpostorWords {
  /** Said as soon as somebody comes; nothing when absent. */
  readonly greeting?: string;
  /** Said to whatever comes in; null: the connection is ended then. Absent: nothing is said. */
  readonly answer?: string | Buffer | null;
}

export async function startImpostor({ greeting = "", answer }: ImpostorWords): Promise<Impostor> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", () => {
      if (answer === null) socket.end();
      else if (answer !== undefined) socket.write(answer);
    });
    socket.write(greeting);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    address: `127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
