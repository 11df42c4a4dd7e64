// The workaround: a fixed delay of 2 s between up to 5 attempts.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import OpenAI from "openai";

const DELAY = 2;

const { values } = parseArgs({ options: { "max-retries": { type: "string", default: "2" } } });
// The retries of the SDK itself; 2 is its own default.
const client = new OpenAI({ maxRetries: Number(values["max-retries"]) });

async function sayHello(maxRetries = 5) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await client.chat.completions.create({
        model: process.env.OPENAI_FINE_TUNED_MODEL,
        messages: [{ role: "user", content: "Say hello." }],
      });
    } catch (error) {
      if (!(error instanceof OpenAI.RateLimitError)) throw error;
      if (error.type === "insufficient_quota" || attempt === maxRetries - 1) throw error;
      console.error(`attempt ${attempt + 1}: ${error.code}; waiting ${DELAY} s`);
      await sleep(DELAY * 1000);
    }
  }
}

const response = await sayHello();
console.log(response.choices[0].message.content);
