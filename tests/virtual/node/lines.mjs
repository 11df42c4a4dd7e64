/* What the programs beside this file print. A line says what was expected of a time, so that runs in
 * real and in virtual time print the same; where EXACT is set, it says what it was instead. */

import { performance } from "node:perf_hooks";

const isExact = process.env.EXACT !== undefined;

export function say(...words) {
  console.log(words.join(" "));
}

/** Runs `act`, which is to take `expectedMs`, and says so with what came of it. */
export async function timed(what, expectedMs, act) {
  const startMs = performance.now();
  let came;
  try {
    came = await act();
  } catch (error) {
    came = `${error.name}${error.code === undefined ? "" : ` ${error.code}`}`;
  }
  tookSince(what, startMs, expectedMs, came);
  return came;
}

export function tookSince(what, startMs, expectedMs, came) {
  const tookMs = performance.now() - startMs;
  const isOff = isExact ? Math.abs(tookMs - expectedMs) > 0.001 : tookMs < expectedMs - 1.5;
  say(`${what}: ${expectedMs} ms${isOff ? ` instead of ${tookMs}` : ""}, ${came}`);
}

/** A server on loopback in this process; answers by `listener`. */
export async function listen(server) {
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server.address().port;
}
