// TLS servers and clients on this machine, to see who trusts whom.
import { once } from "node:events";
import { createServer, request as httpsRequest, type RequestOptions, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { connect } from "node:tls";
import { type CertificateSource, followCertificate } from "#operator/certificates/source.ts";

/** An HTTPS server that answers everything with 200; gives its port. */
export async function serve(source: CertificateSource): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((_request, response) => response.end("ok"));
  followCertificate(server, source);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** Null when a client that trusts only `ca` connects, else the error's code. */
export function handshake(port: number, ca: string, servername = "localhost"): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", ca, servername }, () => {
      socket.destroy();
      resolve(null);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** The status of a GET. */
export async function get(options: RequestOptions): Promise<number> {
  const [answer] = await once(httpsRequest(options).end(), "response");
  answer.resume();
  await once(answer, "end");
  return answer.statusCode;
}

/** The status of a POST. */
export async function post(
  options: RequestOptions,
  { body, contentType }: { readonly body: string; readonly contentType: string },
): Promise<number> {
  const headers = { "content-type": contentType, "content-length": Buffer.byteLength(body) };
  const [answer] = await once(
    httpsRequest({ ...options, agent: false, method: "POST", headers }).end(body),
    "response",
  );
  answer.resume();
  await once(answer, "end");
  return answer.statusCode;
}
