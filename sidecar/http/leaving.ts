// A client that has ended its side may still read: a half-closed connection gets its answers (RFC 9112, 9.6). Or it has
// left for good, which looks the same until something is sent to it. So it is given a little time, and then counts as
// gone: nobody may have a write retried, or run from a queue, for whom nobody waits any more.
import type { Socket } from "node:net";
import type { Clock } from "#kit/clock.ts";

/** After the client's end its connection lives on so long, in milliseconds, without an answer going out. */
const LEFT_AFTER_MS = 1_000;

/** Destroys the socket when its client has ended its side and nothing has been sent since for a while. */
export function followLeaving(socket: Socket, clock: Clock): void {
  socket.once("end", () => {
    let sent = socket.bytesWritten;
    const look = (): void => {
      // An answer that the client does not take is another limit's business.
      const isAnswered = socket.bytesWritten !== sent || socket.writableLength > 0;
      sent = socket.bytesWritten;
      if (isAnswered) timer = clock.after(LEFT_AFTER_MS, look);
      else socket.destroy();
    };
    let timer = clock.after(LEFT_AFTER_MS, look);
    socket.once("close", () => timer.cancel());
  });
}
