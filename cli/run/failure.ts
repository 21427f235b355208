// Why `pannier run` could not do what it was asked: a message for the person at the terminal, and an exit code.
import { EXIT_FAILURE } from "../host.ts";

export class RunFailure extends Error {
  override readonly name = "RunFailure";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT_FAILURE) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The `code` of a system error, as "EADDRINUSE", or "" when it has none. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
