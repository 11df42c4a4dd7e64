// One call with LangChain's ChatOpenAI and its default retries.

import { ChatOpenAI } from "@langchain/openai";

const model = new ChatOpenAI({
  model: process.env.OPENAI_FINE_TUNED_MODEL,
  configuration: { baseURL: process.env.OPENAI_BASE_URL },
});
console.log((await model.invoke("Say hello.")).content);
