// Waiting for a condition, with a deadline that names it: a test that waits for ever would hide the others.

const LIMIT_MS = 30_000;
const STEP_MS = 10;

/** Resolves when `holds` does. Rejects with `what` when it does not within 30 s, or `limitMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs: number = LIMIT_MS,
): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}
