// Waiting for somebody who may leave. Knows nothing of what is waited for.

/**
 * The promise's outcome, or a rejection with what `error` makes when `signal` aborts first. The promise goes on then, and
 * what becomes of it is nobody's concern.
 */
export function unlessLeft<T>(promise: Promise<T>, signal: AbortSignal, error: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => reject(error());
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}
