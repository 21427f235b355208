// Where a Configuration comes from, as whoever follows it sees that: files, or the operator. Knows neither of them.
import type { Configuration } from "#crds/configuration.ts";

/** A Configuration that cannot be used. The message has one line per cause, with its place. */
export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  /** The file, or what the resource is called. */
  readonly file: string;
  constructor(file: string, message: string) {
    super(message);
    this.file = file;
  }
}

export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** One sentence each, with its place. */
  readonly warnings: readonly string[];
}

export interface ConfigurationContent {
  /** Equal for equal content. */
  readonly digest: string;
  /** The defaults when there is nothing in it. Throws a {@link ConfigurationError} for faults. */
  decode(): LoadedConfiguration;
}

export interface ConfigurationOrigin {
  /** It never changes. */
  readonly isFixed: boolean;
  /** Rejects with a {@link ConfigurationError} for what is missing or cannot be read. */
  read(): Promise<ConfigurationContent>;
  /** Has changes told; absent where it has to be read again and again. Gives the end of it. */
  onChange?(listener: () => void): () => void;
}
