// The client library, without what it takes along for nothing: tedious asks for Azure's packages as it is loaded, for ways
// of signing in that are not used here (token.ts has its own). Alone loads it.
import { registerHooks } from "node:module";
import { hasStandIn, STAND_IN } from "./stand-ins.ts";

// In the image's bundle the build has done the same, and the hook meets nobody who asks.
const hooks = registerHooks({
  resolve: (specifier, context, next) =>
    hasStandIn(specifier, context.parentURL ?? "")
      ? { url: STAND_IN, format: "builtin", shortCircuit: true }
      : next(specifier, context),
});
const tedious: typeof import("tedious") = await import("tedious").finally(() => hooks.deregister());

export const Connection: typeof tedious.Connection = tedious.Connection;
export const Request: typeof tedious.Request = tedious.Request;
export const TYPES: typeof tedious.TYPES = tedious.TYPES;
