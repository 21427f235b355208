// A connection to memcached while it is being made: what becomes of a caller who leaves meanwhile.
import assert from "node:assert/strict";
import { never, systemClock } from "#kit/clock.ts";
import { Link } from "#sidecar/stores/memcached/link.ts";
import { VERSION_COMMAND } from "#sidecar/stores/memcached/protocol.ts";
import { startImpostor } from "#test/servers/impostor.ts";
import { keeping } from "#test/stores/bench.ts";

const REQUEST = { bytes: VERSION_COMMAND, isWrite: true, until: null };

describe("a connection to memcached that is being made", () => {
  const { keep } = keeping();

  it("is waited for no longer by a caller who leaves, whose request is not sent then, and serves the others", async () => {
    const impostor = await startImpostor({ answer: "VERSION 1.6.40\r\n" });
    keep(impostor, () => impostor.stop());
    const [host = "", port] = impostor.address.split(":");
    const link = new Link({
      host: { host, port: Number(port), name: impostor.address },
      timeoutMs: 60_000,
      clock: systemClock,
    });
    keep(link, () => link.close());
    const leaving = new AbortController();
    const left = link.send(REQUEST, leaving.signal);
    const other = link.send(REQUEST, never);
    // In the same turn, in which no connection can have come.
    leaving.abort();
    await assert.rejects(left, { code: "timeout", message: "the caller left before memcached answered" });
    const [reply] = await other;
    assert.deepEqual(reply?.words, ["VERSION", "1.6.40"]);
  });
});
