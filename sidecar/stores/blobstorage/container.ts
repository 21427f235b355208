// The operations on one container that the driver uses, as requests of the Blob service's REST API, and its answers. Knows
// no key and no layout.

import { answerError, type StorageAnswer, StorageError } from "../azure/storage-failures.ts";
import type { StorageLink } from "../azure/storage-link.ts";
import type { Call } from "../store.ts";
import { type BlobPage, readPage } from "./page.ts";

/** The version of the protocol. From 2021-02-12 on names that XML cannot hold are told all the same. */
export const VERSION = "2023-11-03";

export interface Blob {
  readonly bytes: Uint8Array;
  readonly etag: string;
}

export interface Condition {
  /** Null for none. */
  readonly etag: string | null;
  /** Only where no blob is. */
  readonly absent: boolean;
}

export type Unmet =
  /** The blob is there, and it should not be. */
  | "exists"
  /** The blob is another one. */
  | "other"
  /** There is none. */
  | "missing";

export interface ListAsked {
  readonly prefix: string;
  /** Names that have it behind the prefix are left out. */
  readonly delimiter: string;
  /** Where the page before ended; "" for the first. */
  readonly marker: string;
  readonly max: number;
}

const OK = 200;
const CREATED = 201;
const ACCEPTED = 202;

export class Container {
  readonly #link: StorageLink;
  readonly #path: string;

  constructor(link: StorageLink, name: string) {
    this.#link = link;
    this.#path = `/${name}`;
  }

  async get(name: string, call: Call): Promise<Blob | null> {
    const answer = await this.#send({ method: "GET", path: this.#of(name), query: {} }, call);
    if (answer.code === "BlobNotFound") return null;
    const { etag } = answer.headers;
    if (answer.status !== OK || etag === undefined) throw answerError(answer, this.#link.server, false);
    return { bytes: answer.body, etag };
  }

  /** Whether the container is there, found out by reading a blob: it takes no other right. */
  async exists(name: string, call: Call): Promise<boolean> {
    const answer = await this.#send({ method: "GET", path: this.#of(name), query: {} }, call);
    if (answer.code === "ContainerNotFound") return false;
    if (answer.status === OK || answer.code === "BlobNotFound") return true;
    throw answerError(answer, this.#link.server, false);
  }

  /** Gives null when the blob was written, else why its condition does not hold. */
  async put(
    name: string,
    { bytes, headers, condition }: { bytes: Uint8Array; headers: Record<string, string>; condition: Condition },
    call: Call,
  ): Promise<Unmet | null> {
    const all = {
      "x-ms-blob-type": "BlockBlob",
      "Content-Type": "application/octet-stream",
      ...headers,
      ...conditionHeaders(condition),
    };
    const answer = await this.#send(
      { method: "PUT", path: this.#of(name), query: {}, headers: all, body: bytes },
      call,
    );
    if (answer.status === CREATED) return null;
    return this.#unmet(answer, condition);
  }

  /** The same for a delete; without a condition a blob that is not there is `missing`. */
  async delete(name: string, etag: string | null, call: Call): Promise<Unmet | null> {
    const condition = { etag, absent: false };
    const headers = conditionHeaders(condition);
    const answer = await this.#send({ method: "DELETE", path: this.#of(name), query: {}, headers }, call);
    if (answer.status === ACCEPTED) return null;
    if (answer.code === "BlobNotFound") return "missing";
    return this.#unmet(answer, condition);
  }

  async list({ prefix, delimiter, marker, max }: ListAsked, call: Call): Promise<BlobPage> {
    const query: Record<string, string> = { restype: "container", comp: "list", delimiter, maxresults: String(max) };
    if (prefix !== "") query.prefix = prefix;
    if (marker !== "") query.marker = marker;
    const answer = await this.#send({ method: "GET", path: this.#path, query }, call);
    const page = answer.status === OK ? readPage(answer.body.toString()) : null;
    if (page !== null) return page;
    if (marker !== "" && MARKER_CODES.has(answer.code))
      throw new StorageError("refused", "the position of the page is none of this container");
    throw answerError(answer, this.#link.server, false);
  }

  /** Makes the container; one that is there already stays as it is. */
  async create(access: "none" | "blob" | "container", call: Call): Promise<void> {
    const headers: Record<string, string> = access === "none" ? {} : { "x-ms-blob-public-access": access };
    const request = { method: "PUT" as const, path: this.#path, query: { restype: "container" }, headers };
    const answer = await this.#send({ ...request, isWrite: false }, call);
    if (answer.status !== CREATED && answer.code !== "ContainerAlreadyExists")
      throw answerError(answer, this.#link.server, false);
  }

  #of(name: string): string {
    return `${this.#path}/${encodeURIComponent(name)}`;
  }

  #unmet(answer: StorageAnswer, { etag, absent }: Condition): Unmet {
    if (absent && (answer.code === "BlobAlreadyExists" || answer.code === "ConditionNotMet")) return "exists";
    if (etag !== null && answer.code === "BlobNotFound") return "missing";
    if (etag !== null && answer.code === "ConditionNotMet") return "other";
    throw answerError(answer, this.#link.server, true);
  }

  #send(
    request: {
      method: "GET" | "PUT" | "DELETE";
      path: string;
      query: Record<string, string>;
      headers?: Record<string, string>;
      body?: Uint8Array;
      isWrite?: boolean;
    },
    call: Call,
  ): Promise<StorageAnswer> {
    const { method, path, query, headers = {}, body = null, isWrite = method !== "GET" } = request;
    return this.#link.send({ method, path, query, headers, body, isWrite }, call);
  }
}

/** How the service says that a marker is none of its own. */
const MARKER_CODES: ReadonlySet<string> = new Set(["OutOfRangeInput", "InvalidQueryParameterValue", "InvalidMarker"]);

function conditionHeaders({ etag, absent }: Condition): Record<string, string> {
  if (etag !== null) return { "If-Match": etag };
  return absent ? { "If-None-Match": "*" } : {};
}
