/* fetch and node:http against servers of the same program: time-outs that come, and time-outs that
 * must not come although the clock jumps. */

import http from "node:http";
import net from "node:net";
import { once } from "node:events";
import { setTimeout as later } from "node:timers/promises";

import { listen, say, timed } from "./lines.mjs";

/* /wait/MS answers after MS; /body/MS has a body in two halves, MS between; /never does not answer. */
const server = http.createServer(async (request, response) => {
  const [, what, ms] = request.url.split("/");
  if (what === "wait" && ms > 0)
    await later(Number(ms));
  if (what === "never")
    return;
  response.setHeader("content-type", "text/plain");
  response.write("first half, ");
  if (what === "body")
    await later(Number(ms));
  response.end("second half");
});
const base = `http://127.0.0.1:${await listen(server)}`;
const text = async (path, options) => (await fetch(base + path, options)).text();

await timed("an answer after 2 s", 2000, () => text("/wait/2000"));
await timed("a body that pauses for 1.5 s", 1500, () => text("/body/1500"));
await timed("aborted while it waits for the head", 100,
  () => text("/never", { signal: AbortSignal.timeout(100) }));
await timed("aborted while it waits for the body", 150,
  () => text("/body/2000", { signal: AbortSignal.timeout(150) }));
await timed("not aborted, since it is in time", 500,
  () => text("/wait/500", { signal: AbortSignal.timeout(5000) }));
await timed("twenty side by side", 700, async () => {
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => text(`/wait/${(i + 1) * 35}`)));
  return new Set(all).size === 1 ? `${all.length} alike` : "different";
});
await timed("aborted by its user", 50, () => {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 50);
  return text("/never", { signal: controller.signal });
});
await timed("a port where nobody listens", 0, async () => {
  try {
    await fetch("http://127.0.0.1:1/");
  } catch (error) {
    return error.cause.code;
  }
  return "served";
});

/* A connection is used again as long as the server says that it keeps it: 5 s. The client takes 1 s
 * off that, and counts in steps of a second. */
const keeper = http.createServer((_, response) => response.end("kept"));
let connections = 0;
keeper.on("connection", () => { connections++; });
const kept = `http://127.0.0.1:${await listen(keeper)}`;
async function again(waitMs) {
  await (await fetch(kept)).text();
  const before = connections;
  await later(waitMs);
  await (await fetch(kept)).text();
  return `${connections - before} new connections`;
}
await timed("again after 2 s, on the same connection", 2000, () => again(2000));
await timed("again after 6 s, on a new one", 6000, () => again(6000));
keeper.close();

function get(path, options) {
  return new Promise((resolve, reject) => {
    const request = http.get(base + path, options, async (response) => {
      let body = "";
      for await (const part of response)
        body += part;
      resolve(body);
    });
    request.on("timeout", () => request.destroy(new Error("its own time-out")));
    request.on("error", (error) => reject(Object.assign(error, { name: error.message })));
  });
}
await timed("http.get with a time-out", 200, () => get("/never", { timeout: 200 }));
await timed("http.get that is in time", 200, () => get("/wait/200", { timeout: 2000 }));
await timed("an agent that keeps connections, idle for 300 ms", 300, async () => {
  const agent = new http.Agent({ keepAlive: true, timeout: 300 });
  await get("/wait/0", { agent });
  const [socket] = Object.values(agent.freeSockets)[0];
  await once(socket, "close");
  return `${Object.keys(agent.freeSockets).length} free`;
});

const echo = net.createServer((socket) => socket.pipe(socket));
const port = await listen(echo);
await timed("a socket that is idle for 400 ms", 400, async () => {
  const socket = net.connect(port, "127.0.0.1");
  socket.setTimeout(400);
  await once(socket, "timeout");
  socket.destroy();
  return "timeout";
});
await timed("a socket that is not, since it talks each 100 ms", 1000, async () => {
  const socket = net.connect(port, "127.0.0.1");
  let timeouts = 0;
  socket.setTimeout(150, () => { timeouts++; });
  await once(socket, "connect");
  for (let i = 0; i < 10; i++) {
    socket.write("x");
    await once(socket, "data");
    await later(100);
  }
  socket.destroy();
  return `${timeouts} time-outs`;
});

server.close();
server.closeAllConnections?.();
echo.close();
say("end");
