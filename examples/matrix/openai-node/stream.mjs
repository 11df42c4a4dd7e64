// One call with openai-node that streams, and its default retries.

import OpenAI from "openai";

const stream = await new OpenAI().chat.completions.create({
  model: process.env.OPENAI_FINE_TUNED_MODEL,
  messages: [{ role: "user", content: "Say hello." }],
  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}
console.log();
