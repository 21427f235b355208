import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { waitUntilReady } from "#cli/wait.ts";
import { freePort } from "#test/servers/free-port.ts";

const LIMIT_MS = 30_000;

describe("--wait", () => {
  let server: Server;
  let answers: number[];
  const asked: (string | undefined)[] = [];

  before((done) => {
    server = createServer((request, response) => {
      asked.push(request.url);
      response.statusCode = answers.shift() ?? 500;
      response.end();
    });
    server.listen(0, "localhost", done);
  });
  after((done) => {
    server.close(() => done());
  });

  const port = (): number => (server.address() as AddressInfo).port;

  it("asks for the outbound health until the answer is good", async () => {
    answers = [500, 404, 204];
    assert.equal(await waitUntilReady(port(), LIMIT_MS), true);
    assert.deepEqual(asked, Array(3).fill("/v1.0/healthz/outbound"));
  });

  it("gives up when the limit has passed", async () => {
    answers = [];
    assert.equal(await waitUntilReady(port(), 1), false);
  });

  it("takes a refused connection for not yet", async () => {
    assert.equal(await waitUntilReady(await freePort(), 1), false);
  });
});
