// Waiting for a condition, with a deadline that names it: a test that waits for ever would hide the others.

const LIMIT_MS = 10_000;
const STEP_MS = 10;

/** Resolves when `holds` does. Rejects with `what` when it does not within 10 s. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = Date.now() + LIMIT_MS;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`waited ${LIMIT_MS} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}
