// An app for the tests on a node: hands each request on to its sidecar, at the port that the pod's environment names.
import { createServer } from "node:http";

const { DAPR_HTTP_PORT } = process.env;

createServer(async (request, response) => {
  if (request.url === "/healthz") return response.end();
  try {
    const chunks = await Array.fromAsync(request);
    const body = chunks.length === 0 ? {} : { body: Buffer.concat(chunks) };
    const url = `http://localhost:${DAPR_HTTP_PORT}${request.url}`;
    const answer = await fetch(url, { method: request.method, ...body });
    response.writeHead(answer.status).end(Buffer.from(await answer.arrayBuffer()));
  } catch (error) {
    response.writeHead(502).end(`${error.cause ?? error}\n`);
  }
}).listen(8080);
