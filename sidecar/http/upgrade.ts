// Nothing is upgraded to here, and a request that asks for it goes on in HTTP/1.1. But Node passes over whatever came in
// one piece behind such a request: when something did, the connection must end with its answer, or the client would
// take the answer to its next request for that of the lost one.
import type { IncomingMessage } from "node:http";

/**
 * Whether bytes behind this request may have been lost. Only of a connection's first request can it be told how many
 * bytes it has; clients that offer HTTP/2 by `Upgrade` do so there.
 */
export function mayHaveLost(request: IncomingMessage, isFirst: boolean): boolean {
  if (request.headers.upgrade === undefined) return false;
  if (!isFirst || request.headers["transfer-encoding"] !== undefined) return true;
  return request.socket.bytesRead > headBytes(request) + Number(request.headers["content-length"] ?? 0);
}

/** As long as it can be at least: a client that writes more blanks than it needs is taken for one that sent more. */
function headBytes({ method, url, rawHeaders }: IncomingMessage): number {
  let bytes = `${method} ${url} HTTP/1.1\r\n\r\n`.length;
  for (const [index, text] of rawHeaders.entries()) bytes += text.length + (index % 2 === 0 ? ": " : "\r\n").length;
  return bytes;
}
