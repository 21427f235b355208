// Several changes in one request, as MIME within MIME (OData's batches), and what became of them. Knows no row.
import { answerError, codeOf, type StorageAnswer, type StorageError } from "../azure/storage-failures.ts";

/** A change that was not applied, and with it none. */
export interface Refusal {
  /** Azure's word for why. */
  readonly code: string;
  /** Which change it was, from 0. */
  readonly at: number;
  /** For a code that means nothing more to the driver. */
  readonly error: StorageError;
}

interface Part {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

interface BatchOptions {
  /** Of the account, without a slash at the end: paths stand behind it. */
  readonly base: string;
  readonly accept: string;
  /** A text that no value can have: a UUID. */
  readonly boundary: string;
}

export function batchBody(parts: readonly Part[], { base, accept, boundary }: BatchOptions): Buffer {
  const chunks: (Buffer | string)[] = [
    `--batch_${boundary}\r\nContent-Type: multipart/mixed; boundary=changeset_${boundary}\r\n\r\n`,
  ];
  for (const { method, path, headers, body } of parts) {
    const lines = Object.entries({ Accept: accept, DataServiceVersion: "3.0", ...headers });
    chunks.push(
      `--changeset_${boundary}\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n`,
      `${method} ${base}${path} HTTP/1.1\r\n`,
      ...lines.map(([name, value]) => `${name}: ${value}\r\n`),
      "\r\n",
      body ?? "",
      "\r\n",
    );
  }
  chunks.push(`--changeset_${boundary}--\r\n--batch_${boundary}--\r\n`);
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)));
}

/** At the beginning of a line, which no value within JSON can be. */
const STATUS = /^HTTP\/1\.1 (\d{3})/gm;
/** How the text of an error says which change it is about: "2:The specified entity already exists." */
const PLACE = /"value"\s*:\s*"(\d+):/;
const SUCCESS_LAST = 299;
const BAD_GATEWAY = 502;

/** The first refusal among the answers of a batch; null when all changes were applied. */
export function refusalIn(answer: StorageAnswer, server: string): Refusal | null {
  const text = answer.body.toString();
  const statuses = [...text.matchAll(STATUS)].map(([, status]) => Number(status));
  const failed = statuses.findIndex((status) => status > SUCCESS_LAST);
  if (failed < 0 && statuses.length > 0) return null;
  // An answer without any status is none of the service's.
  const status = statuses[failed] ?? BAD_GATEWAY;
  const body = Buffer.from(text.slice(text.indexOf(`\nHTTP/1.1 ${status}`)));
  const code = codeOf(status, {}, body);
  const at = Number(PLACE.exec(text)?.[1] ?? failed);
  return { code, at, error: answerError({ status, headers: {}, body, code }, server, true) };
}
