// One call with openai-node and its default retries.

import OpenAI from "openai";

const answer = await new OpenAI().chat.completions.create({
  model: process.env.OPENAI_FINE_TUNED_MODEL,
  messages: [{ role: "user", content: "Say hello." }],
});
console.log(answer.choices[0].message.content);
