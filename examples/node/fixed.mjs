// The fixed program: up to 3 attempts, and 1 s and 2 s (2 ** attempt) between them.
//
// When the last attempt fails too, its error is thrown whole: a program that swallows it hides an
// outage. Turn the SDK's own retries off (--max-retries=0), or they multiply those of this loop.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import OpenAI from "openai";

const { values } = parseArgs({ options: { "max-retries": { type: "string", default: "2" } } });
// The retries of the SDK itself; 2 is its own default.
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
      // Waiting does not cure a used-up quota, and after the last attempt it is of no use.
      if (error.type === "insufficient_quota" || attempt === maxRetries - 1) throw error;
      const wait = 2 ** attempt;
      console.error(`attempt ${attempt + 1}: ${error.code}; waiting ${wait} s`);
      await sleep(wait * 1000);
    }
  }
}

const response = await sayHello();
console.log(response.choices[0].message.content);
