// Many calls at once, and a queue that limits how many are in flight.
//
//     semaphore.mjs                      6 calls, at most 2 at a time
//     semaphore.mjs --limit 0            all at once: the broken form
//     semaphore.mjs --limit 4 --calls 20
import { parseArgs } from "node:util";
import OpenAI from "openai";

const { values } = parseArgs({
  options: {
    limit: { type: "string", default: "2" },
    calls: { type: "string", default: "6" },
    "max-retries": { type: "string", default: "2" },
  },
});
const limit = Number(values.limit);
const calls = Number(values.calls);
// The retries of the SDK itself; 2 is its own default.
const client = new OpenAI({ maxRetries: Number(values["max-retries"]) });

async function sayHello(number) {
  const response = await client.chat.completions.create({
    model: process.env.OPENAI_FINE_TUNED_MODEL,
    messages: [{ role: "user", content: `Say hello to number ${number}.` }],
  });
  console.log(`call ${number}: ${response.choices[0].message.content}`);
}

// Each worker makes one call after the other, so no more are in flight than there are workers.
const errors = [];
let next = 1;
async function work() {
  while (next <= calls) {
    await sayHello(next++).catch((error) => errors.push(error));
  }
}
await Promise.all(Array.from({ length: limit > 0 ? limit : calls }, work));
if (errors.length > 0) throw errors[0]; // every call has ended by now
