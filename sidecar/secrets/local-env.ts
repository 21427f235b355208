// secretstores.local.env: the sidecar's environment variables as secrets (docs/secrets.md).
// Unlike Dapr's, a variable that is not set is a missing secret here, not an empty one.
import { decodeFields, type FieldTable, text } from "#crds/fields.ts";
import { hasErrors } from "#kit/fault.ts";
import type { SecretContext, SecretStore, SecretStoreType } from "./store.ts";
import { refusal, variableValue } from "./variables.ts";

interface LocalEnvSettings {
  readonly prefix: string;
}

const fields: FieldTable<LocalEnvSettings> = {
  prefix: text({ fallback: "", doc: "Put before the name of each secret to make the name of its variable." }),
};

export const localEnv: SecretStoreType = {
  type: "secretstores.local.env",
  fields,
  prepare(properties) {
    const { settings, faults } = decodeFields(fields, properties, { others: [], page: "docs/secrets.md" });
    const prefix = hasErrors(faults) || settings === null ? "" : settings.prefix;
    return { faults, files: [], open: (context) => Promise.resolve(environmentStore(prefix, context)) };
  },
};

function environmentStore(prefix: string, { env }: SecretContext): SecretStore {
  return {
    async get(name) {
      const variable = prefix + name;
      const value = refusal(variable, env) === null ? variableValue(variable, env) : undefined;
      return value === undefined ? null : { [name]: value };
    },
  };
}
