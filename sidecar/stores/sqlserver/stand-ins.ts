// What tedious asks for at the top of its files and no code that this driver runs touches
// (docs/decisions/0018-sqlserver-client.md). For client.ts, where tedious lies in node_modules, and for the build, which
// puts it into the image's bundle. Loads nothing.

/** What tedious gets in its place: a module of Node's that is there anyway. The members it looks for are undefined. */
export const STAND_IN = "node:util";

const NOT_NEEDED: ReadonlySet<string> = new Set(["@azure/identity", "@azure/keyvault-keys", "@azure/core-auth"]);
const ASKING = /[\\/]tedious[\\/]lib[\\/]/;

/** Whether a module is to get the stand-in. `from` is the path or the URL of the file that asks for it. */
export function hasStandIn(specifier: string, from: string): boolean {
  return NOT_NEEDED.has(specifier) && ASKING.test(from);
}
