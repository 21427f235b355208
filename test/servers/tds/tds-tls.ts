// TLS as TDS 7.4 has it: after a first exchange in the clear, the handshake goes in packets of TDS, and from then on the
// packets go in TLS (the document MS-TDS 2.2.6.5 and 3.2.5.2). Knows nothing of what is in the packets.
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { createSecureContext, type SecureContextOptions, TLSSocket } from "node:tls";
import { MessageReader, PRELOGIN } from "./messages.ts";
import { prelogin, toPackets } from "./tokens.ts";

/** What a client and TDS say to each other in the clear, once TLS stands. Ends with the socket. */
export function securedBy(context: SecureContextOptions, socket: Socket): TLSSocket {
  const secured = new TLSSocket(new Handshake(socket), {
    isServer: true,
    secureContext: createSecureContext({ ...context, maxVersion: "TLSv1.2" }),
  });
  // A client that does not trust the certificate ends the handshake.
  secured.on("error", () => socket.destroy());
  socket.on("close", () => secured.destroy());
  return secured;
}

/**
 * What TLS reads and writes: out of packets and into them, until the client's first byte that begins no such packet. By
 * then it has the server's last word of the handshake.
 */
class Handshake extends Duplex {
  readonly #socket: Socket;
  readonly #reader = new MessageReader();
  #isGreeted = false;
  #isOver = false;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("end", () => this.push(null));
  }

  override _read(): void {
    // What comes is pushed as it comes: tests send little.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#socket.write(this.#isOver ? chunk : toPackets(chunk));
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    this.#isOver ||= this.#isGreeted && chunk[0] !== PRELOGIN;
    if (this.#isOver) {
      this.push(chunk);
      return;
    }
    for (const { data } of this.#reader.read(chunk)) {
      if (this.#isGreeted) this.push(data);
      else this.#socket.write(toPackets(prelogin({ encrypts: true })));
      this.#isGreeted = true;
    }
  }
}
