// The endpoint of App Service where a managed identity gets its tokens, one for a whole test process: the library looks for
// it once, and asks at the same address ever after.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface IdentityEndpoint {
  /** Takes it out of the environment again, and ends its connections. */
  stop(): void;
}

const NAMES = ["IDENTITY_ENDPOINT", "IDENTITY_HEADER"] as const;

let listening: Promise<Server> | null = null;
let current: Answer | null = null;

/** Puts it into the environment; `answer` may leave a request without one. One at a time. */
export async function startIdentityEndpoint(answer: Answer): Promise<IdentityEndpoint> {
  if (current !== null) throw new Error("there is one already");
  current = answer;
  listening ??= listen();
  const server = await listening;
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the endpoint has no port");
  const before = NAMES.map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, { IDENTITY_ENDPOINT: `http://127.0.0.1:${bound.port}/token`, IDENTITY_HEADER: "header" });
  return {
    stop() {
      current = null;
      server.closeAllConnections();
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}

function listen(): Promise<Server> {
  const server = createServer((request, response) => {
    if (current === null) response.destroy();
    else current(request, response);
  });
  // It stays for the tests that come, and keeps no process alive.
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}
