// The broken program: one call, no handling of rate limits. The first 429 ends it.
import { parseArgs } from "node:util";
import OpenAI from "openai";

const { values } = parseArgs({ options: { "max-retries": { type: "string", default: "2" } } });
// The retries of the SDK itself; 2 is its own default.
const client = new OpenAI({ maxRetries: Number(values["max-retries"]) });

const response = await client.chat.completions.create({
  model: process.env.OPENAI_FINE_TUNED_MODEL,
  messages: [{ role: "user", content: "Say hello." }],
});
console.log(response.choices[0].message.content);
