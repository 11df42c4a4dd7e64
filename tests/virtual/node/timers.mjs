/* setTimeout, setInterval, setImmediate and their like: order, cancelling, references, promises. */

import { performance } from "node:perf_hooks";
import { setImmediate as immediately, setInterval as everyMs, setTimeout as later, scheduler }
  from "node:timers/promises";

import { say, timed, tookSince } from "./lines.mjs";

const inOrder = [];
const push = (name) => () => inOrder.push(name);
setTimeout(push("30 ms"), 30);
setTimeout(push("10 ms, first"), 10);
setTimeout(push("10 ms, second"), 10);
setTimeout(push("20 ms"), 20);
clearTimeout(setTimeout(push("cancelled"), 15));
setTimeout(() => setTimeout(push("10 ms and 15 ms"), 15), 10);
await later(60);
say(inOrder.join(", "));

const rounds = [];
await new Promise((resolve) => {
  setImmediate(push);
  setTimeout(() => {
    setTimeout(() => { rounds.push("timer"); resolve(); }, 1);
    setImmediate(() => rounds.push("immediate"));
    process.nextTick(() => rounds.push("tick"));
    Promise.resolve().then(() => rounds.push("promise"));
  }, 1);
});
say(rounds.join(", "));

await timed("setTimeout(0), which is 1", 1, () => new Promise((done) => setTimeout(done, 0, "done")));
await timed("setTimeout(1.9), rounded down", 1, () => new Promise((done) => setTimeout(done, 1.9, "done")));
process.removeAllListeners("warning");
process.on("warning", (warning) => say(warning.name));
await timed("setTimeout(2 ** 31), which is 1", 1,
  () => new Promise((done) => setTimeout(done, 2 ** 31, "done")));
await timed("setTimeout(-5), which is 1", 1, () => new Promise((done) => setTimeout(done, -5, "done")));

await timed("setInterval, five times", 100, () => new Promise((resolve) => {
  let count = 0;
  const interval = setInterval(() => {
    if (++count === 5) {
      clearInterval(interval);
      resolve(`${count} times`);
    }
  }, 20);
}));

await timed("refresh() starts anew", 80, () => new Promise((resolve) => {
  const timer = setTimeout(resolve, 50, "fired once");
  setTimeout(() => timer.refresh(), 30);
}));

await timed("one that was cleared by its number", 20, async () => {
  let fired = false;
  const timer = setTimeout(() => { fired = true; }, 10);
  clearTimeout(Number(timer));
  await later(20);
  return fired ? "fired" : "not fired";
});

await timed("timers/promises", 40, () => later(40, "its value"));
await timed("scheduler.wait", 25, () => scheduler.wait(25));
await timed("setImmediate", 0, () => immediately("its value"));
await timed("an interval as an iterator", 45, async () => {
  let sum = 0;
  for await (const value of everyMs(15, 7)) {
    sum += value;
    if (sum === 21)
      return sum;
  }
});
await timed("one that is aborted", 10, async () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 10);
  await later(1000, null, { signal: controller.signal });
});
/* Timers of signals keep no program alive. */
const alive = setInterval(() => {}, 1000);
await timed("AbortSignal.timeout", 35, async () => {
  const signal = AbortSignal.timeout(35);
  await later(1000, null, { signal });
});
await timed("AbortSignal.any", 15, () => {
  if (AbortSignal.any === undefined)
    return later(15).then(() => "TimeoutError");
  const signal = AbortSignal.any([AbortSignal.timeout(15), AbortSignal.timeout(500)]);
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(signal.reason.name)));
});

clearInterval(alive);

if (process.env.EXACT === undefined) /* nobody waits for that in real time */
  say("a day, with timers on the way: 86400001 ms, 24 fired");
else
  await timed("a day, with timers on the way", 86400001, async () => {
    let count = 0;
    const interval = setInterval(() => { count++; }, 3600000);
    await later(86400001);
    clearInterval(interval);
    return `${count} fired`;
  });

const startMs = performance.now();
const wall = Date.now();
const high = process.hrtime.bigint();
await later(50);
const wallMs = Date.now() - wall;
const highMs = Number(process.hrtime.bigint() - high) / 1e6;
tookSince("three clocks", startMs, 50, wallMs >= 49 && highMs >= 48.5 ? "agree" : `${wallMs}, ${highMs}`);

const unref = setTimeout(() => say("must not fire: nothing else keeps the program alive"), 1e6);
unref.unref();
say(unref.hasRef() ? "has a reference" : "has no reference");
setTimeout(() => say("the last one"), 20);
process.on("exit", (code) => say("exit", code));
