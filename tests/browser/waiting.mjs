// Waiting, but not for ever.

/** Within this a page is there, on a machine that has other things to do. */
export const SETTLED = 40_000;

/** What a promise gives, if it does so in time. */
export function within(milliseconds, promise) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not within ${milliseconds} ms`)), milliseconds).unref();
  });
  return Promise.race([promise, late]);
}

/** Waits for what comes to be, and fails with `what` if it does not. */
export async function eventually(what, attempt, milliseconds = SETTLED) {
  const end = performance.now() + milliseconds;
  for (;;) {
    const found = await attempt();
    if (found) {
      return found;
    }
    if (performance.now() > end) {
      throw new Error(`not within ${milliseconds} ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
