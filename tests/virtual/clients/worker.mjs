// The same in a worker thread, while the main thread waits for it.
import { Worker } from "node:worker_threads";

const worker = new Worker(new URL("./fetch.mjs", import.meta.url));
worker.on("exit", (code) => process.exit(code));
