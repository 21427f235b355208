// A client certificate that can be read, and that OpenSSL does not take all the same.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { freePort } from "#test/servers/free-port.ts";
import { PEM } from "#test/stores/pem.ts";
import { openStore } from "./fixture.ts";

/** Node asks for 1024 bits. */
const TOO_SHORT = ["req", "-x509", "-newkey", "rsa:512", "-nodes", "-subj", "/CN=test", "-keyout", "-", "-out", "-"];

describe("an etcd store with a client certificate that OpenSSL refuses", () => {
  it("does not open, and says why and which fields to check", async () => {
    const made = execFileSync("openssl", TOO_SHORT, { encoding: "utf8", stdio: "pipe" });
    const endpoints = `127.0.0.1:${await freePort()}`;
    const opened = openStore("v2", { endpoints, tlsEnable: "true", ca: PEM, cert: made, key: made });
    await assert.rejects(opened, {
      name: "StoreError",
      code: "unavailable",
      message: `cannot connect to etcd at ${endpoints}: TLS: ee key too small; check ca, cert and key`,
    });
  });
});
