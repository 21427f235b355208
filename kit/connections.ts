// A server's connections as they came from the system, so that its end can be an end: closeAllConnections of Node knows
// only those whose TLS handshake is over, and one that shakes hands after it is closed by nobody. Knows no protocol.
import type { Server, Socket } from "node:net";

/** Follows the server from now on. Gives what breaks all connections that are open when it is called. */
export function followConnections(server: Server): () => void {
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}
