// The state of actors (dapr-state-api.md 4): served for every actor type of this sidecar's own app, over the same stores
// as all other state, under keys of its own. Knows no placement: nobody here ensures one activation per actor.
import type { Log } from "#kit/log.ts";
import { type Call, type Change, type Found, type Metadata, StoreError, type Write } from "../stores/store.ts";
import { invalid, malformed, StateError, type StateErrorCode } from "./errors.ts";
import { SEPARATOR } from "./keys.ts";
import { checkKeyBytes, checkValueBytes, toEtag, toTtlSec } from "./requests.ts";
import { type Caller, failure, type StateService, wrapChecks } from "./service.ts";
import type { StoreEntry, StoreTable } from "./table.ts";

/** One actor of this sidecar's app. */
export interface ActorAddress {
  readonly actorType: string;
  readonly actorId: string;
}

export interface ActorChange {
  readonly key: string;
  /** Nobody looks at it in a delete. */
  readonly bytes: Uint8Array;
  /** The bytes are one JSON text. */
  readonly isJson: boolean;
  /** "" counts as none. */
  readonly etag: string;
  readonly metadata: Metadata;
}

export interface ActorOperation {
  /** The word as the client sent it; "upsert" and "delete" are operations. */
  readonly operation: string;
  /** Null when the client sent none. */
  readonly request: ActorChange | null;
}

export interface ActorStatesParts {
  readonly service: StateService;
  readonly stores: StoreTable;
  readonly appId: string;
  readonly log: Log;
}

const GET_FAILED = "error getting actor state";
const SAVE_FAILED = "error saving actor transaction state";
/** Types of Dapr's own actors, as its workflows have them. */
const RESERVED_PREFIX = "dapr.internal.";
const NOT_CONFIGURED =
  'the state store is not configured to use the actor runtime. Have you set the - name: actorStateStore value: "true" in your state store component file?';
const UNFIT =
  'actors: state store does not exist or incorrectly configured. Have you set the property \'{"name": "actorStateStore", "value": "true"}\' in your state store component file?';
const WARNING =
  "actor state is served without placement: nothing ensures that an actor is active in one place only, so two instances of the app may write the state of one actor (docs/actors.md)";

/** The state of this app's actors; one for all surfaces. */
export class ActorStates {
  readonly #service: StateService;
  readonly #stores: StoreTable;
  readonly #appId: string;
  readonly #log: Log;
  #warned = false;

  constructor({ service, stores, appId, log }: ActorStatesParts) {
    this.#service = service;
    this.#stores = stores;
    this.#appId = appId;
    this.#log = log;
  }

  /** Throws actor-type-reserved, and actor-store-missing. Surfaces ask before they read the body. */
  require(actorType: string): void {
    checkType(actorType);
    this.#find();
  }

  /** The value under a key of an actor, never decrypted, or null. Throws actor-get-failed. */
  async get(actor: ActorAddress, key: string, caller: Caller): Promise<Found | null> {
    const { entry, partition } = this.#locate(actor, "actor-get-failed", GET_FAILED);
    if (key === "") throw invalid("actor-get-failed", `${GET_FAILED}: missing key`, entry.name);
    const read = { strong: false, metadata: { partitionKey: partition } };
    const stored = wrapChecks(() => checkKeyBytes(entry, partition + SEPARATOR + key, "actor-get-failed"), GET_FAILED);
    try {
      return await this.#call(entry, caller, false, (each) => entry.store.get(stored, read, each));
    } catch (error) {
      throw failure("actor-get-failed", GET_FAILED, error, entry);
    }
  }

  /** Applies all operations or none; none at all succeeds. Throws actor-transaction-failed. */
  async transact(actor: ActorAddress, operations: readonly ActorOperation[], caller: Caller): Promise<void> {
    const { entry, partition } = this.#locate(actor, "actor-transaction-failed", SAVE_FAILED);
    const changes = operations.map((operation) => wrapChecks(() => toChange(entry, partition, operation), SAVE_FAILED));
    const { operationsMax } = entry.store.limits;
    if (operationsMax !== null && changes.length > operationsMax) {
      const text = `${SAVE_FAILED}: the transaction contains more operations than supported by the state store: ${changes.length}, want at most ${operationsMax}`;
      throw invalid("actor-transaction-failed", text, entry.name);
    }
    if (changes.length === 0) return;
    const conditional = operations.some(({ request }) => request !== null && request.etag !== "");
    try {
      await this.#call(entry, caller, conditional, async (each) => {
        if (entry.store.transact === undefined) throw new StoreError("failed", "the driver has no transactions");
        await entry.store.transact(changes, each);
      });
    } catch (error) {
      throw failure("actor-transaction-failed", SAVE_FAILED, error, entry);
    }
  }

  /** In no metric of state stores, as Dapr's: those tell of the app's own state. */
  #call<T>(entry: StoreEntry, caller: Caller, conditional: boolean, task: (call: Call) => Promise<T>): Promise<T> {
    return this.#service.count(entry, null, caller, () =>
      this.#service.attempt(entry, caller, { retry: null, conditional }, task),
    );
  }

  /** The store of an actor's state, and what stands there before each of its keys, separator left out. */
  #locate(
    { actorType, actorId }: ActorAddress,
    code: StateErrorCode,
    failed: string,
  ): { readonly entry: StoreEntry; readonly partition: string } {
    checkType(actorType);
    checkPart("actor type", actorType);
    checkPart("actor id", actorId);
    const entry = this.#find();
    const { etag, transactions } = entry.store.features;
    if (!etag || !transactions) {
      const lacks = etag ? "transactions" : "ETags";
      const text = `${failed}: ${UNFIT} State store ${entry.name} (${entry.type}) has no ${lacks}`;
      throw new StateError(code, "failed", text, { store: entry.name });
    }
    this.#warn();
    return { entry, partition: [this.#appId, actorType, actorId].join(SEPARATOR) };
  }

  /** The one store that is marked. Of two, neither: which of them has an actor's state would be chance. */
  #find(): StoreEntry {
    const marked = [...this.#stores.all()].filter(({ core }) => core.actorStateStore);
    const [entry, other] = marked;
    if (entry === undefined) throw new StateError("actor-store-missing", "failed", NOT_CONFIGURED);
    if (other === undefined) return entry;
    const text = `detected duplicate actor state store: ${entry.name} and ${other.name}; want actorStateStore on one Component only`;
    throw new StateError("actor-store-missing", "failed", text);
  }

  #warn(): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#log.warn(WARNING);
  }
}

function checkType(actorType: string): void {
  if (!actorType.startsWith(RESERVED_PREFIX)) return;
  const text = `actor type ${JSON.stringify(actorType)} is reserved: want one that does not begin with "${RESERVED_PREFIX}"`;
  throw new StateError("actor-type-reserved", "invalid", text);
}

/**
 * With the separator in it, or half of it at its end, another actor's keys would be the same. The last part, the key, may
 * be anything: what follows the third separator is the key.
 */
function checkPart(what: string, part: string): void {
  if (part !== "" && !part.includes(SEPARATOR) && !part.endsWith("|")) return;
  throw malformed(
    `${what}: got ${JSON.stringify(part)}, want a text without "${SEPARATOR}" that does not end with "|"`,
  );
}

function toChange(entry: StoreEntry, partition: string, { operation, request }: ActorOperation): Change {
  const code = "actor-transaction-failed";
  if (operation === "") throw invalid(code, "operation is empty", entry.name);
  if (operation !== "upsert" && operation !== "delete") {
    throw invalid("operation-not-supported", `operation type ${operation} not supported`, entry.name);
  }
  if (request === null) throw invalid(code, "request data is empty", entry.name);
  if (request.key === "") throw invalid(code, "missing key", entry.name);
  const shared = {
    key: checkKeyBytes(entry, partition + SEPARATOR + request.key, code),
    etag: toEtag(entry, request.etag, code),
    firstWrite: false,
    strong: false,
    metadata: { ...request.metadata, partitionKey: partition },
  };
  if (operation === "delete") return { kind: "delete", removal: shared };
  checkValueBytes(entry, request.bytes, code);
  const ttlSec = toTtlSec(entry, request.metadata, code);
  const write: Write = { ...shared, bytes: request.bytes, isJson: request.isJson, ttlSec };
  return { kind: "upsert", write };
}
