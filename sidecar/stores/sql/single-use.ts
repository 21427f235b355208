// Work over a connection beside the pool that ends with it: what is made before there is a pool. Knows no statement.
import { closedError } from "./failure.ts";
import type { PooledSession } from "./pool.ts";

/** Does the work, unless the signal aborts first, and ends the connection. Rejects with a StoreError. */
export async function overOnce<S extends PooledSession, T>(
  session: S,
  signal: AbortSignal,
  work: (session: S) => Promise<T>,
): Promise<T> {
  const leave = (): void => session.destroy("closed");
  signal.addEventListener("abort", leave, { once: true });
  try {
    if (signal.aborted) throw closedError();
    return await work(session);
  } finally {
    signal.removeEventListener("abort", leave);
    session.close();
    await session.ended;
  }
}
