// The official SDK, which waits as Retry-After says.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 7 });
const answer = await client.chat.completions.create({
  model: "m",
  messages: [{ role: "user", content: "hi" }],
});
console.log(answer.choices[0].message.role);
