// Servers that answer, none of which is the one that is looked for: a member of a replica set as our stand-in plays it.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { Document } from "mongodb";
import { MongodbStandIn } from "#test/servers/mongodb-stand-in.ts";
import { keeping } from "#test/stores/bench.ts";
import { openStore } from "./fixture.ts";

const SECONDARY: Document = { isWritablePrimary: false, ismaster: false, secondary: true, primary: undefined };

describe("a MongoDB server that cannot be selected", () => {
  const { keep } = keeping();

  async function standIn(hello: Document = {}): Promise<string> {
    const started = await MongodbStandIn.start({ hello });
    return keep(started, () => started.stop()).address;
  }

  const refuses = (host: string, params: string, why: string): Promise<void> =>
    assert.rejects(openStore({ fields: { host, params: `?serverSelectionTimeoutMS=500&${params}` } }), {
      code: "unavailable",
      message: `cannot connect to mongodb at ${host}${why}`,
    });

  it("is told from one that is away: there is no primary", async () => {
    await refuses(await standIn(SECONDARY), "replicaSet=rs0", "; no primary is there");
  });

  it("is told from one that is away: it is in another replica set", async () => {
    const why = ": it is not in the replica set that params or connectionString name";
    await refuses(await standIn(), "replicaSet=other", why);
  });

  it("is told from one that is away: nothing fits the read preference", async () => {
    await refuses(await standIn(), "replicaSet=rs0&readPreference=secondary", "; no server fits the read preference");
  });

  it("is said to be silent when it takes connections and never answers", async () => {
    const mute = createServer((socket) => void socket.on("error", () => undefined).resume());
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
    keep(mute, () => new Promise((resolve) => mute.close(resolve)));
    const address = mute.address();
    assert.ok(address !== null && typeof address === "object");
    await refuses(`127.0.0.1:${address.port}`, "", ": no answer in time");
  });
});
