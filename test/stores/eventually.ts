// Waiting until something succeeds that fails for a while, as a store does that finds its server again.

const LIMIT_MS = 60_000;
const STEP_MS = 20;

/** Gives what `attempt` gives once it succeeds. Rejects with its last error when it has not within a minute. */
export async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const endMs = Date.now() + LIMIT_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
  }
}
