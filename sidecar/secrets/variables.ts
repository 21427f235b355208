// Which environment variables a manifest may read. The same rule as Dapr's (pkg/runtime/processor/secret): tokens of
// the sidecar and the app are not for Components, and DAPR_ENV_KEYS, where set, lists all that are.

export type Environment = Readonly<Record<string, string | undefined>>;

/** The variable that the injector sets to the names of the pod's own variables, blanks between them. */
const ALLOW_LIST = "DAPR_ENV_KEYS";

/** Why the variable may not be read, as a sentence; null when it may. */
export function refusal(variable: string, env: Environment): string | null {
  const name = variable.toUpperCase();
  if (name === "APP_API_TOKEN" || name.startsWith("DAPR_")) return "APP_API_TOKEN and DAPR_* are not for Components";
  if (name.includes(" ")) return "a variable's name has no blanks";
  const allowed = env[ALLOW_LIST] ?? "";
  if (allowed === "") return null;
  const names = allowed.split(" ");
  return names.includes(name) || names.includes(variable) ? null : `${ALLOW_LIST} does not list it`;
}

/** The variable's value, or undefined when it is not set. What every object has by birth is no variable. */
export function variableValue(variable: string, env: Environment): string | undefined {
  return Object.hasOwn(env, variable) ? env[variable] : undefined;
}
