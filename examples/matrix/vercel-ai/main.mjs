// One call with the Vercel AI SDK's generateText and its default retries.

import { createOpenAI } from "@ai-sdk/openai";
import { generateText } from "ai";

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });
const { text } = await generateText({
  model: openai.chat(process.env.OPENAI_FINE_TUNED_MODEL),
  prompt: "Say hello.",
});
console.log(text);
