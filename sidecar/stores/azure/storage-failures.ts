// What Azure's storage services, or the way to them, ended a request with, as a StoreError with what to do about it. Of
// their own words only the code of an error is looked at and told: texts can hold names of blobs, which are keys.
import type { IncomingHttpHeaders } from "node:http";
import { tlsCause } from "#kit/connect-cause.ts";
import { StoreError, type StoreErrorCode } from "../store.ts";

export interface StorageAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Azure's own word for what is wrong, as "BlobNotFound"; "" after a success, and where somebody else answers. */
  readonly code: string;
}

/** How a request came to an end without an answer. */
export type Ending =
  /** The connection broke. */
  | "broken"
  /** No answer in time. */
  | "silent"
  /** The caller gave up. */
  | "left"
  /** The store was closed. */
  | "closed";

/** A StoreError that knows more for the driver's own use. */
export class StorageError extends StoreError {
  /** Nothing was written, or only read, and the connection was to blame: another attempt may fare better. */
  readonly repeatable: boolean;

  constructor(code: StoreErrorCode, message: string, repeatable = false) {
    super(code, message);
    this.repeatable = repeatable;
  }
}

export const MAY_HAVE = "; the write may have happened";

export interface Unanswered {
  /** "Azure Blob Storage at account.blob.core.windows.net". */
  readonly server: string;
  /** It can have changed what is stored: it is a write, and it was sent. */
  readonly mayHaveWritten: boolean;
}

/** A request that was sent, and has no answer. */
export function lossError(ending: Ending, { server, mayHaveWritten }: Unanswered): StorageError {
  const written = mayHaveWritten ? MAY_HAVE : "";
  const doubtful: StoreErrorCode = mayHaveWritten ? "unknown-outcome" : "unavailable";
  switch (ending) {
    case "broken":
      return new StorageError(doubtful, `lost the connection to ${server}${written}`, !mayHaveWritten);
    case "silent":
      return new StorageError("timeout", `no answer from ${server} in time${written}`);
    case "left":
      return new StorageError("timeout", `the caller left before ${server} answered${written}`);
    case "closed":
      return mayHaveWritten ? new StorageError("unknown-outcome", `the store was closed${written}`) : closedError();
  }
}

const TLS_TROUBLE = /CERT|VERIFY|SSL|TLS|EPROTO/;

/** Nothing was sent. Node's code for a failed connection holds no secret. */
export function connectError(server: string, error: Error): StorageError {
  const code = "code" in error ? String(error.code) : "";
  const hint = TLS_TROUBLE.test(code) ? "; check the address, and the server's certificate" : "";
  const cause = tlsCause(error.message) ?? code;
  return new StorageError("unavailable", `cannot connect to ${server}${cause === "" ? "" : `: ${cause}`}${hint}`);
}

export function closedError(): StorageError {
  return new StorageError("closed", "the store was closed");
}

/** Before anything was sent. */
export function leftError(): StorageError {
  return new StorageError("timeout", "the caller left before the work began");
}

interface Meaning {
  readonly code: StoreErrorCode;
  readonly text: string;
}

const CHECK_RIGHTS = "see the rights in the docs page of this store";

/** Azure's words for errors that are not a driver's own business. After each of these nothing was written. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  AuthenticationFailed: { code: "unavailable", text: `does not accept the key, the signature or the token` },
  InvalidAuthenticationInfo: { code: "unavailable", text: "does not accept the key, the signature or the token" },
  NoAuthenticationInformation: { code: "unavailable", text: "wants a key, a signature or a token" },
  // Also what stands behind the account's firewall is told so, and by Azurite who comes with a wrong key.
  AuthorizationFailure: {
    code: "unavailable",
    text: "does not let this caller in; check the key or the identity's rights, and the account's firewall",
  },
  AuthorizationPermissionMismatch: { code: "unavailable", text: `does not let this identity do that; ${CHECK_RIGHTS}` },
  AuthorizationServiceMismatch: { code: "unavailable", text: "is not the service that the signature is for" },
  AuthorizationProtocolMismatch: { code: "unavailable", text: "wants https" },
  InsufficientAccountPermissions: { code: "unavailable", text: "takes no writes from this identity" },
  KeyBasedAuthenticationNotPermitted: { code: "unavailable", text: "takes no keys: sign in at Entra ID" },
  AccountIsDisabled: { code: "unavailable", text: "says that the account is disabled" },
  ContainerNotFound: {
    code: "unavailable",
    text: "has no such container; create it, or open the Component again (docs/hot-reload.md)",
  },
  ContainerDisabled: { code: "unavailable", text: "says that the container is disabled" },
  ContainerBeingDeleted: { code: "unavailable", text: "is still deleting a container of that name" },
  TableNotFound: {
    code: "unavailable",
    text: "has no such table; create it, or open the Component again (docs/hot-reload.md)",
  },
  TableBeingDeleted: { code: "unavailable", text: "is still deleting a table of that name" },
  ServerBusy: { code: "unavailable", text: "has more requests than it serves" },
  TooManyRequests: { code: "unavailable", text: "has more requests than it serves" },
  LeaseIdMissing: { code: "unavailable", text: "says that somebody else has a lease on the value" },
  LeaseLost: { code: "unavailable", text: "says that somebody else has a lease on the value" },
  SnapshotsPresent: { code: "unavailable", text: "deletes no blob that has snapshots" },
  BlobImmutableDueToPolicy: { code: "unavailable", text: "changes no value that a policy keeps" },
  BlobArchived: { code: "unavailable", text: "has put the value into its archive" },
  InvalidBlobType: { code: "corrupt", text: "has a blob there that is no block blob" },
  RequestBodyTooLarge: { code: "refused", text: "takes no request of this size" },
  EntityTooLarge: { code: "refused", text: "takes no row of this size" },
  PropertyValueTooLarge: { code: "refused", text: "takes no value of this size" },
  KeyValueTooLarge: { code: "refused", text: "takes no key of this length" },
  MetadataTooLarge: { code: "refused", text: "takes not so much metadata with a value" },
  InvalidMetadata: { code: "refused", text: "does not take this metadata" },
  Md5Mismatch: { code: "refused", text: "says that contentMD5 is not the value's" },
  InvalidMd5: { code: "refused", text: "says that contentMD5 is none" },
  InvalidUri: { code: "refused", text: "does not take this key" },
  InvalidResourceName: { code: "refused", text: "does not take this key" },
  OutOfRangeInput: { code: "refused", text: "does not take this key" },
  InvalidInput: { code: "refused", text: "does not take this key or value" },
};

const TOO_LARGE = 413;
const SERVER_ERROR = 500;

/** The error for an answer that a driver has no use for. `isWrite`: the request was one. */
export function answerError(answer: StorageAnswer, server: string, isWrite: boolean): StorageError {
  const known = MEANINGS[answer.code];
  const shown = answer.code === "" ? `status ${answer.status}` : answer.code;
  if (known !== undefined) return new StorageError(known.code, `${server} ${known.text} (${shown})`);
  if (answer.status === TOO_LARGE)
    return new StorageError("refused", `${server} takes no request of this size (${shown})`);
  if (answer.status < SERVER_ERROR)
    return new StorageError(answer.code === "" ? "unavailable" : "failed", `${server} refused the request (${shown})`);
  const text = `${server} failed in the middle of the request (${shown})`;
  return isWrite ? new StorageError("unknown-outcome", `${text}${MAY_HAVE}`) : new StorageError("unavailable", text);
}

const XML_CODE = /<Code>(\w+)<\/Code>/;
const JSON_CODE = /"code"\s*:\s*"(?:\w+:)?(\w+)"/;
/** The code stands at the beginning of an error's body. */
const LOOKED_AT = 1000;
const FIRST_ERROR = 300;

/** Azure's word for an error: in a header, or in the body, which is XML of blobs and JSON of tables. */
export function codeOf(status: number, headers: IncomingHttpHeaders, body: Buffer): string {
  if (status < FIRST_ERROR) return "";
  const header = headers["x-ms-error-code"];
  if (typeof header === "string") return header;
  const text = body.toString("utf8", 0, LOOKED_AT);
  return XML_CODE.exec(text)?.[1] ?? JSON_CODE.exec(text)?.[1] ?? "";
}
