// Many calls at once, but never more than a named number.

/**
 * Runs `task` for each index from 0 to `count` - 1, at most `width` at a time. A task must not reject: what can fail
 * puts its error into its result.
 */
export async function inParallel(count: number, width: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await task(next++);
  };
  const lanes: Promise<void>[] = [];
  for (let i = 0; i < Math.min(width, count); i++) lanes.push(lane());
  await Promise.all(lanes);
}
