import assert from "node:assert/strict";
import { Agent } from "node:https";
import { issueAuthority, issueLeaf } from "#operator/certificates/issue.ts";
import { type CertificateSource, Listeners, type Served } from "#operator/certificates/source.ts";
import { get, handshake, serve } from "./handshake.ts";

const HOUR_MS = 3_600_000;
const validity = { fromMs: Date.now() - HOUR_MS, untilMs: Date.now() + HOUR_MS };

describe("a server that follows its certificate", () => {
  it("drops no connection when it changes, and gives new ones the new certificate", async () => {
    const [first, second] = [await issueAuthority(validity), await issueAuthority(validity)];
    const listeners = new Listeners();
    const served = async (ca: typeof first): Promise<Served> => ({
      ...(await issueLeaf(["localhost"], ca, validity)),
      expiresAtMs: validity.untilMs,
    });
    let current = await served(first);
    const source: CertificateSource = {
      get current() {
        return current;
      },
      trustAnchors: first.certificatePem,
      onChange: (listener) => listeners.add(listener),
      close: () => Promise.resolve(),
    };
    const { server, port } = await serve(source);
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: first.certificatePem, servername: "localhost" });
    let connections = 0;
    server.on("secureConnection", () => connections++);
    try {
      assert.equal(await get({ agent, port, host: "127.0.0.1" }), 200);
      current = await served(second);
      listeners.tell();
      assert.equal(await get({ agent, port, host: "127.0.0.1" }), 200);
      assert.equal(connections, 1);
      assert.equal(await handshake(port, second.certificatePem), null);
      assert.equal(await handshake(port, first.certificatePem), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    } finally {
      agent.destroy();
      server.close();
    }
  });
});
