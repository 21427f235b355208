// For what cannot be: a failed assertion is our own bug, never a user's mistake.

export class AssertionFailed extends Error {
  override readonly name = "AssertionFailed";
}

/** Throws {@link AssertionFailed} unless `condition` holds. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message);
}

/** For the `default` of a switch over a union: a compile error when a case is missing. */
export function unreachable(value: never): never {
  throw new AssertionFailed(`unexpected value ${String(value)}`);
}
