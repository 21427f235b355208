// The gRPC API of one sidecar, all its services together. The server under it is loaded with this file, not before: it
// costs memory in every process that has one.
import type { About } from "../about.ts";
import type { ActorStates } from "../state/actors.ts";
import type { StateService } from "../state/service.ts";
import { actorMethods } from "./actor-methods.ts";
import { Calls, type CallsOptions } from "./calls.ts";
import { Health } from "./health.ts";
import type { Method } from "./method.ts";
import { ownMethods } from "./own-methods.ts";
import { reflectionMethods } from "./reflection.ts";
import { createGrpcServer, type GrpcServer } from "./server.ts";
import { sidecarMethods } from "./sidecar-methods.ts";
import { stateMethods } from "./state-methods.ts";
import { createTokenCheck, isSendable } from "./token.ts";
import { UnreadAnswers } from "./unread.ts";

export interface GrpcApiOptions extends Omit<CallsOptions, "methods" | "token"> {
  /** The token that calls must bring; null: none. */
  readonly apiToken: string | null;
  readonly service: StateService;
  readonly actors: ActorStates;
  readonly about: About;
  readonly onShutdown: (force: boolean) => void;
  readonly headerBytesMax: number;
  /** Why the sidecar is not ready yet, or null. */
  readonly unready: () => string | null;
}

const NOT_SENDABLE =
  "DAPR_API_TOKEN has characters other than printable ASCII, which gRPC metadata cannot carry: every gRPC call that needs the token is refused; take a token of ASCII letters and digits";

export class GrpcApi {
  readonly #options: GrpcApiOptions;
  readonly #calls: Calls;
  readonly #health: Health;
  readonly #unread: UnreadAnswers;

  constructor(options: GrpcApiOptions) {
    this.#options = options;
    const methods = [
      ...stateMethods(options),
      ...actorMethods(options.actors),
      ...sidecarMethods(options),
      ...ownMethods(options),
      ...reflectionMethods(),
    ];
    this.#health = new Health(methods.map(serviceOf), options.unready);
    this.#unread = new UnreadAnswers(options.clock);
    if (options.apiToken !== null && !isSendable(options.apiToken)) options.log.warn(NOT_SENDABLE);
    const token = options.apiToken === null ? null : createTokenCheck(options.apiToken);
    this.#calls = new Calls({ ...options, token, methods: [...methods, ...this.#health.methods()] });
  }

  /** A server that is not yet listening; one per address. */
  server(): GrpcServer {
    const { bodyBytesMax, headerBytesMax } = this.#options;
    return createGrpcServer({ calls: this.#calls, bodyBytesMax, headerBytesMax, unread: this.#unread });
  }

  /** Tells those who ask for its health that it is going. */
  drain(): void {
    this.#health.drain();
  }
}

function serviceOf({ path }: Method): string {
  return path.slice(1, path.lastIndexOf("/"));
}
