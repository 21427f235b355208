// A process with the client of Google's services, since gRPC reads once and for all which authorities it trusts: asks the
// addresses that come as messages, each by one client, and sends back what has come of it.
import { systemClock } from "#kit/clock.ts";
import { GoogleClient, type Method } from "#sidecar/stores/google/client.ts";

const NOTHING = { encode: () => ({ finish: () => new Uint8Array(0) }), decode: () => ({}) };
const METHOD: Method<unknown, unknown> = { path: "/test/Ask", effect: "read", request: NOTHING, response: NOTHING };
const CALL_MS = 5_000;

const { signal } = new AbortController();
const clients = new Map<string, GoogleClient>();

function clientOf(address: string): GoogleClient {
  const made = clients.get(address);
  if (made !== undefined) return made;
  const endpoint = { address, isService: true };
  const credentials = { headers: async () => [] };
  const client = new GoogleClient({ service: "spanner", endpoint, credentials, clock: systemClock });
  clients.set(address, client);
  return client;
}

process.on("message", (address: string) => {
  const how = { signal, deadlineMs: systemClock.monotonicMs() + CALL_MS, headers: [] };
  clientOf(address)
    .ask(METHOD, {}, how)
    .then(
      () => "",
      (error: Error) => error.message,
    )
    .then((message) => process.send?.(message));
});
process.on("disconnect", () => {
  for (const client of clients.values()) client.close();
});
