import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Server } from "node:net";
import { choosePort, usableAddresses } from "#cli/run/ports.ts";
import { freePort } from "#test/servers/free-port.ts";

describe("ports", () => {
  let busy: Server;
  let taken: number;
  const wish = { flag: "dapr-http-port", asked: false, addresses: ["127.0.0.1"] };
  const none: ReadonlyMap<number, string> = new Map();

  before(async () => {
    busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, "127.0.0.1", resolve));
    taken = (busy.address() as AddressInfo).port;
  });
  after(async () => {
    await new Promise((resolve) => busy.close(resolve));
  });

  it("chooses a free port where nobody asked for the taken one", async () => {
    const chosen = await choosePort({ ...wish, port: taken }, none);
    assert.notEqual(chosen, taken);
    assert.ok(chosen > 0);
    const free = await freePort();
    assert.equal(await choosePort({ ...wish, port: free }, none), free);
  });

  it("refuses an asked-for port that is taken, and names flag and port", async () => {
    await assert.rejects(choosePort({ ...wish, port: taken, asked: true }, none), {
      name: "RunFailure",
      message: new RegExp(`--dapr-http-port: cannot have port ${taken} \\(something else listens there\\)`),
    });
  });

  it("does not hand out a port twice", async () => {
    const chosen = await choosePort({ ...wish, port: taken }, none);
    const others = new Map([[chosen, "metrics-port"]]);
    assert.notEqual(await choosePort({ ...wish, port: chosen }, others), chosen);
  });

  it("names the flag that an asked-for port clashes with", async () => {
    const free = await freePort();
    await assert.rejects(choosePort({ ...wish, port: free, asked: true }, new Map([[free, "metrics-port"]])), {
      name: "RunFailure",
      message: `--dapr-http-port: got ${free}, want another port than --metrics-port`,
    });
  });

  it("leaves an asked-for 0 to the system", async () => {
    assert.equal(await choosePort({ ...wish, port: 0, asked: true }, none), 0);
  });

  it("keeps the addresses that this machine has", async () => {
    assert.deepEqual(await usableAddresses(["127.0.0.1", "192.0.2.1"]), ["127.0.0.1"]);
  });
});
