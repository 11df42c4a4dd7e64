/* Worker threads and child processes: timers of their own, waits with a time-out, their ends. */

import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { setTimeout as later } from "node:timers/promises";
import { Worker } from "node:worker_threads";

import { say, timed } from "./lines.mjs";

const source = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { setTimeout: later } = require("node:timers/promises");
  const cells = new Int32Array(workerData.cells);
  parentPort.on("message", async ({ what, ms }) => {
    if (what === "timer")
      await later(ms);
    const came = what === "wait" ? Atomics.wait(cells, 0, 0, ms) : "done";
    parentPort.postMessage(came);
  });`;

function start(cells) {
  return new Worker(source, { eval: true, workerData: { cells } });
}

const cells = new SharedArrayBuffer(4);
const worker = start(cells);
const ask = async (what, ms) => {
  worker.postMessage({ what, ms });
  return (await once(worker, "message"))[0];
};
await once(worker, "online");
await ask("nothing", 0);
await timed("a worker's timer", 1000, () => ask("timer", 1000));
await timed("Atomics.wait in a worker, not woken", 300, () => ask("wait", 300));
await timed("Atomics.wait in a worker, woken", 100, async () => {
  const answer = ask("wait", 5000);
  await later(100);
  Atomics.notify(new Int32Array(cells), 0);
  return answer;
});
await timed("Atomics.wait of this thread", 50,
  () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50));
if (Atomics.waitAsync !== undefined)
  await timed("Atomics.waitAsync", 60, () => {
    const { value } = Atomics.waitAsync(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
    const alive = setInterval(() => {}, 30); /* which the wait alone does not keep it */
    return value.then((came) => { clearInterval(alive); return came; });
  });
else
  say("Atomics.waitAsync: 60 ms, timed-out");
await timed("eight workers side by side", 800, async () => {
  const eight = Array.from({ length: 8 }, () => start(cells));
  await Promise.all(eight.map((one) => once(one, "online")));
  const ends = eight.map(async (one, i) => {
    one.postMessage({ what: "timer", ms: (i + 1) * 100 });
    const [came] = await once(one, "message");
    await one.terminate();
    return came;
  });
  return (await Promise.all(ends)).length;
});
await worker.terminate();
say("worker ended");

await timed("a child that sleeps", 200, async () => (await once(spawn("sleep", ["0.2"]), "exit"))[0]);
await timed("a child that is killed by its time-out", 250,
  async () => (await once(spawn("sleep", ["60"], { timeout: 250 }), "exit"))[1]);
await timed("spawnSync with a time-out", 150, () => {
  const done = spawnSync("sleep", ["60"], { timeout: 150 });
  return `${done.signal} ${done.error.code}`;
});
await timed("execFile with a time-out", 120, () => new Promise((resolve) => {
  execFile("sleep", ["60"], { timeout: 120 }, (error) => resolve(`${error.killed} ${error.signal}`));
}));
await timed("a shell's child", 300, () => new Promise((resolve) => {
  execFile("sh", ["-c", "sleep 0.1; sleep 0.2; echo done"], (_, out) => resolve(out.trim()));
}));
