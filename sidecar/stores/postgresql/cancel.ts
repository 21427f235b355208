// The request to stop what a session of the server is doing: sixteen bytes over a connection of their own
// (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS). Nothing answers it.
import { connect } from "node:net";
import type { Clock } from "#kit/clock.ts";
import type { Endpoint } from "./server-plan.ts";

/** What the server told at the beginning of the session, for this purpose. */
export interface BackendKey {
  readonly processId: number;
  readonly secretKey: number;
}

const REQUEST_BYTES = 16;
const REQUEST_CODE = 80_877_102;
/** A server that does not take the request so soon would not help any more. */
const LIFE_MS = 1000;

/** Sends the request and forgets it: whether it helped shows in the session. */
export function requestCancel({ address, port }: Endpoint, key: BackendKey, clock: Clock): void {
  const path = `${address}/.s.PGSQL.${port}`;
  const socket = address.startsWith("/") ? connect(path) : connect({ host: address, port });
  const timer = clock.after(LIFE_MS, () => socket.destroy());
  // A server that cannot be reached does not answer the session either, which ends by its own deadline.
  socket.on("error", () => socket.destroy());
  socket.on("close", () => timer.cancel());
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeInt32BE(REQUEST_BYTES, 0);
  request.writeInt32BE(REQUEST_CODE, 4);
  request.writeInt32BE(key.processId, 8);
  request.writeInt32BE(key.secretKey, 12);
  // The server ends the connection when it has done what is asked; pgbouncer forgets a request whose sender ends it first.
  socket.write(request);
  socket.resume();
}
