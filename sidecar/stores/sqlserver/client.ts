// The client library, without what it takes along for nothing: tedious asks for Azure's packages as it is loaded, for ways
// of signing in that are not used here (token.ts has its own). Alone loads it.
import { registerHooks } from "node:module";

/**
 * What tedious gets in place of a package it asks for at the top: a module of Node's that is there anyway. Its members are
 * undefined, and no code that this driver runs touches one. Measured on Node 26: 70 ms and 16 MB in place of 135 ms and
 * 25 MB, which every pod with this store would pay.
 */
const STAND_IN = "node:util";
const NOT_NEEDED: ReadonlySet<string> = new Set(["@azure/identity", "@azure/keyvault-keys", "@azure/core-auth"]);
const ASKING = /[\\/]tedious[\\/]lib[\\/]/;

const hooks = registerHooks({
  resolve: (specifier, context, next) =>
    NOT_NEEDED.has(specifier) && ASKING.test(context.parentURL ?? "")
      ? { url: STAND_IN, format: "builtin", shortCircuit: true }
      : next(specifier, context),
});
const tedious: typeof import("tedious") = await import("tedious").finally(() => hooks.deregister());

export const Connection: typeof tedious.Connection = tedious.Connection;
export const Request: typeof tedious.Request = tedious.Request;
export const TYPES: typeof tedious.TYPES = tedious.TYPES;
