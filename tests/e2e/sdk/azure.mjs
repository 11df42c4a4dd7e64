// What AzureOpenAI of the official Node.js SDK makes of the azure dialect, as azure.py.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.EXAMPLES_NODE + "/package.json"));
const { AzureOpenAI, OpenAI } = require("openai");

process.on("warning", (warning) => {
  console.error(warning);
  process.exitCode = 1;
});
const model = process.argv[2];
const messages = [{ role: "user", content: "Hello" }];
const endpoint = process.env.OPENAI_BASE_URL.replace(/\/v1$/, "");
delete process.env.OPENAI_BASE_URL; // which AzureOpenAI takes beside its endpoint, and then refuses both
const seen = {};

const client = (apiKey = "0123456789abcdef0123456789abcdef") =>
  new AzureOpenAI({ endpoint, apiKey, apiVersion: "2024-10-21", maxRetries: 0 });

async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status, error.code, error.error.message];
  }
}

const azure = client();
const { data, response } = await azure.chat.completions.create({ model, messages }).withResponse();
seen["headers"] = ["requests", "tokens"].map((unit) => response.headers.get(`x-ratelimit-remaining-${unit}`));
seen["chat"] = [data.model, data.choices[0].message.content];
seen["stream"] = "";
for await (const chunk of await azure.chat.completions.create({ model, messages, stream: true }))
  seen["stream"] += chunk.choices[0].delta.content ?? "";
seen["refused"] = await errorOf(() => azure.chat.completions.create({ model, messages }));
seen["responses"] = (await azure.responses.create({ model: "other", input: "Hello" })).output_text;
seen["v1"] = (await new OpenAI({
  baseURL: `${endpoint}/openai/v1`, apiKey: "0123456789abcdef0123456789abcdef", maxRetries: 0,
}).embeddings.create({ model: "other", input: "a" })).object;
seen["deployment"] = await errorOf(() => azure.embeddings.create({ model: "none", input: "a" }));
seen["key"] = await errorOf(() => client("wrong").embeddings.create({ model: "other", input: "a" }));
console.log(JSON.stringify(seen));
