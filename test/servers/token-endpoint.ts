// An OAuth token endpoint for tests, that keeps what it was asked and answers what the test says; and a key with its
// certificate for who asks there. Speaks https when it is given certificates, else http.
import { execFile } from "node:child_process";
import { createPublicKey, type KeyObject } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { Certificates } from "./certificates.ts";

export interface TokenQuestion {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly form: URLSearchParams;
}

/** May leave a request without an answer. */
export type TokenAnswer = (response: ServerResponse) => void;

export interface TokenEndpoint {
  readonly url: string;
  /** The newest last. */
  readonly questions: readonly TokenQuestion[];
  /** Of all questions from now on. */
  answer: TokenAnswer;
  stop(): Promise<void>;
}

/** Gives this token, as an endpoint should. */
export function giving(token: string, lifeSec: number): TokenAnswer {
  return answering(200, JSON.stringify({ access_token: token, token_type: "Bearer", expires_in: lifeSec }));
}

export function answering(status: number, body: string, headers: Readonly<Record<string, string>> = {}): TokenAnswer {
  return (response) => void response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
}

/** Starts one that answers 500. Whoever starts one stops it. */
export async function startTokenEndpoint(certificates: Certificates | null = null): Promise<TokenEndpoint> {
  const questions: TokenQuestion[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const form = new URLSearchParams(await text(request));
    const { method = "", url: path = "", headers } = request;
    questions.push({ method, path, contentType: headers["content-type"] ?? "", form });
    endpoint.answer(response);
  };
  // A client that leaves in the middle of its question gets no answer.
  const server = await serverOf(
    certificates,
    (request, response) => void take(request, response).catch(() => undefined),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const port = bound !== null && typeof bound === "object" ? bound.port : 0;
  const endpoint: TokenEndpoint = {
    url: `${certificates === null ? "http" : "https"}://127.0.0.1:${port}/oauth/token`,
    questions,
    answer: answering(500, "{}"),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return endpoint;
}

async function serverOf(certificates: Certificates | null, listener: RequestListener): Promise<Server> {
  if (certificates === null) return createServer(listener);
  const [cert, key] = await Promise.all([
    readFile(certificates.serverCertificateFile),
    readFile(certificates.serverKeyFile),
  ]);
  return createSecureServer({ cert, key }, listener);
}

/** PEM texts of an RSA key and of its certificate, and what verifies its signatures. */
export interface AssertionKey {
  readonly key: string;
  readonly certificate: string;
  readonly publicKey: KeyObject;
}

const run = promisify(execFile);

export async function makeAssertionKey(): Promise<AssertionKey> {
  const folder = await mkdtemp(join(tmpdir(), "pannier-assertion-"));
  try {
    const made = [
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "1",
      "-subj",
      "/CN=client",
      "-keyout",
      "key",
      "-out",
      "cert",
    ];
    await run("openssl", ["req", "-x509", ...made], { cwd: folder });
    const [key, certificate] = await Promise.all(["key", "cert"].map((name) => readFile(join(folder, name), "utf8")));
    if (key === undefined || certificate === undefined) throw new Error("openssl made no key");
    return { key, certificate, publicKey: createPublicKey(certificate) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
