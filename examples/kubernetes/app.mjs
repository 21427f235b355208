// Counts its visits in the state store, in any number of replicas: a count that another replica changed in between is
// refused (409) and tried again.
import { createServer } from "node:http";

const { PORT = "8080", DAPR_HTTP_PORT = "3500" } = process.env;
const STORE = `http://localhost:${DAPR_HTTP_PORT}/v1.0/state/statestore`;
const ATTEMPTS_MAX = 20;

async function visit() {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const found = await fetch(`${STORE}/visits`);
    if (!found.ok) throw new Error(await found.text());
    const visits = (found.status === 204 ? 0 : Number(await found.text())) + 1;
    const etag = found.headers.get("etag");
    // Without an ETag to compare with, first-write lets only one of two writers create the key.
    const item = {
      key: "visits",
      value: visits,
      ...(etag === null ? {} : { etag }),
      options: { concurrency: "first-write" },
    };
    const saved = await fetch(STORE, { method: "POST", body: JSON.stringify([item]) });
    if (saved.ok) return visits;
    if (saved.status !== 409) throw new Error(await saved.text());
  }
  throw new Error(`changed by others ${ATTEMPTS_MAX} times`);
}

const server = createServer(async (request, response) => {
  if (request.url === "/healthz") return response.end();
  try {
    response.end(`visit ${await visit()}\n`);
  } catch (error) {
    response.writeHead(500).end(`${error.message}\n`);
  }
});
server.listen(Number(PORT), () => console.log(`listening on ${server.address().port}`));
// The first process of a container ends by a signal only when it listens for it.
process.on("SIGTERM", () => server.close());
