// What the official Node.js SDK makes of each of some faults, plain and streamed, as one JSON object by
// the model that meets it: what the model said, or the class of what was thrown, a class of the SDK
// marked by "openai.".
//
//     faults.mjs MODEL...
//
// The SDK is that of examples/node, whose folder EXAMPLES_NODE names.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.EXAMPLES_NODE + "/package.json"));
const openai = require("openai");

const client = new openai.OpenAI({ maxRetries: 0, timeout: 2000 });
const messages = [{ role: "user", content: "Say this is a test." }];

async function ask(model, stream) {
  try {
    const made = await client.chat.completions.create({ model, messages, stream });
    if (!stream) return made.choices[0].message.content;
    let text = "";
    for await (const chunk of made) text += chunk.choices[0]?.delta.content ?? "";
    return text;
  } catch (error) {
    const name = error.constructor.name;
    return openai[name] === error.constructor ? `openai.${name}` : name;
  }
}

const seen = {};
for (const model of process.argv.slice(2)) {
  seen[model] = [await ask(model, false), await ask(model, true)];
}
console.log(JSON.stringify(seen));
