// Tells a rate limit, which waiting cures, from a used-up quota, which it does not.
//
// Both are 429. The SDK retries both, so its own retries are off here, and the loop decides.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import OpenAI from "openai";

const { values } = parseArgs({ options: { "max-retries": { type: "string", default: "0" } } });
// The retries of the SDK itself.
const client = new OpenAI({ maxRetries: Number(values["max-retries"]) });

async function sayHello(maxRetries = 3) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await client.chat.completions.create({
        model: process.env.OPENAI_FINE_TUNED_MODEL,
        messages: [{ role: "user", content: "Say hello." }],
      });
    } catch (error) {
      if (!(error instanceof OpenAI.RateLimitError)) throw error;
      if (error.type === "insufficient_quota") {
        console.error("raise the quota or the plan, waiting does not help");
        throw error;
      }
      if (attempt === maxRetries - 1) throw error;
      // The server knows best how long; without its word in seconds, 1 s and 2 s.
      const retryAfter = Number(error.headers.get("retry-after") ?? NaN);
      await sleep(1000 * (retryAfter >= 0 ? retryAfter : 2 ** attempt));
    }
  }
}

const response = await sayHello();
console.log(response.choices[0].message.content);
