// The end of the distribution API: nobody holds it up.
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectSafely } from "node:tls";
import { Bench, makeTrust } from "./bench.ts";

describe("a replica that ends", () => {
  it("waits for no client that shakes hands only afterwards", async () => {
    const trust = await makeTrust();
    const bench = await new Bench({ trust }).start();
    try {
      const socket = connect(bench.port, "127.0.0.1");
      socket.on("error", () => undefined);
      await once(socket, "connect");
      // The server has taken the connection when it answers on a later one.
      (await bench.ask("GET", "/", null)).resume();
      const closed = bench.close();
      connectSafely({ socket, ca: trust.certificates.authority, servername: "localhost" }).on("error", () => undefined);
      await closed;
      socket.destroy();
    } finally {
      await trust.certificates.remove();
    }
  });
});
