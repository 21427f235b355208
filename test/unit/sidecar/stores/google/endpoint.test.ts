// Where a service is: the service, another address of it, an emulator.
import assert from "node:assert/strict";
import { parseEndpoint } from "#sidecar/stores/google/endpoint.ts";

const HOST = "spanner.googleapis.com";

describe("the endpoint of one of Google's services", () => {
  const taken: [text: string, address: string, isService: boolean][] = [
    ["", "spanner.googleapis.com:443", true],
    ["localhost:9010", "localhost:9010", false],
    ["http://localhost:9010/", "localhost:9010", false],
    ["[::1]:9010", "[::1]:9010", false],
    ["https://spanner.me-central2.rep.googleapis.com", "spanner.me-central2.rep.googleapis.com:443", true],
    ["HTTPS://private.example:8443", "private.example:8443", true],
  ];
  for (const [text, address, isService] of taken) {
    it(`is ${address}${isService ? "" : ", an emulator,"} for "${text}"`, () => {
      assert.deepEqual(parseEndpoint(text, HOST), { address, isService });
    });
  }

  for (const text of ["localhost", "localhost:0", "localhost:65536", "ftp://a:1", "a b:1", "user:pw@a:1", "http://a"]) {
    it(`is not "${text}"`, () => {
      assert.ok("want" in parseEndpoint(text, HOST));
    });
  }
});
