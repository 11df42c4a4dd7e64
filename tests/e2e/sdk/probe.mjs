// What the official Node.js SDK makes of answers, as a line of JSON for each.
//
//     probe.mjs chat|list|retrieve MODEL[,MODEL...] [MAX_RETRIES]
//
// The SDK is that of examples/node, whose folder EXAMPLES_NODE names.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.EXAMPLES_NODE + "/package.json"));
const { OpenAI } = require("openai");

const [action, models, maxRetries] = process.argv.slice(2);
const client = new OpenAI(maxRetries === undefined ? {} : { maxRetries: Number(maxRetries) });

async function ask(model) {
  if (action === "list") {
    const { data } = await client.models.list();
    return { ids: data.map((one) => one.id) };
  }
  if (action === "retrieve") {
    const one = await client.models.retrieve(model);
    return { ids: [one.id], object: one.object, created: one.created, owned_by: one.owned_by };
  }
  const answer = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "Say this is a test." }],
  });
  const [choice] = answer.choices;
  return {
    id: answer.id,
    object: answer.object,
    created: answer.created,
    model: answer.model,
    role: choice.message.role,
    content: choice.message.content,
    finish_reason: choice.finish_reason,
    prompt_tokens: answer.usage.prompt_tokens,
    completion_tokens: answer.usage.completion_tokens,
    total_tokens: answer.usage.total_tokens,
    request_id: answer._request_id,
  };
}

for (const model of models.split(",")) {
  try {
    console.log(JSON.stringify(await ask(model)));
  } catch (error) {
    const { status, code, type, param, requestID, message } = error;
    console.log(
      JSON.stringify({
        raised: error.constructor.name, status, code, type, param, request_id: requestID,
        text: message,
      }),
    );
  }
}
