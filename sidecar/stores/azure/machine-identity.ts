// The managed identity of a machine or a pod, whose questions end when nobody waits for them any more. The library sees to
// that for every other way to sign in. Knows no token.
import { AsyncLocalStorage } from "node:async_hooks";
import { Agent } from "node:http";
import type { Duplex } from "node:stream";
import type { GetTokenOptions, TokenCredential } from "@azure/identity";

type Library = typeof import("@azure/identity");

/** Of who asks a machine for its identity just now. */
const leavingMachine = new AsyncLocalStorage<GetTokenOptions["abortSignal"]>();

/** Connections that end with the question, which is the only one over each of them. */
class MachineAgent extends Agent {
  override createConnection(...[options, callback]: Parameters<Agent["createConnection"]>): Duplex | null | undefined {
    const signal = leavingMachine.getStore();
    return super.createConnection(
      signal instanceof AbortSignal ? Object.assign(options, { signal }) : options,
      callback,
    );
  }
}

/** One, for the library asks over that of the first credential whichever it is that asks. */
const machineAgent = new MachineAgent();

/** Of the library's ways the one that looks at no signal: a question without an answer would keep its connection for ever. */
export function machineCredential(library: Library, clientId: string): TokenCredential {
  const identity = clientId === "" ? {} : { clientId };
  const credential = new library.ManagedIdentityCredential({ agent: machineAgent, ...identity });
  return {
    getToken: (scopes, given) => leavingMachine.run(given?.abortSignal, () => credential.getToken(scopes, given)),
  };
}
