// What the official Node.js SDK's typed methods make of each endpoint: one JSON object, by name, as
// endpoints.py. Whatever the process warns of is an error.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(pathToFileURL(process.env.EXAMPLES_NODE + "/package.json"));
const { OpenAI, toFile } = require("openai");

process.on("warning", (warning) => {
  console.error(warning);
  process.exitCode = 1;
});
const model = process.argv[2];
const client = new OpenAI({ maxRetries: 0 });
const seen = {};
const messages = [{ role: "user", content: "Say this is a test." }];
const parameters = {
  type: "object", properties: { city: { type: "string" } }, required: ["city"],
  additionalProperties: false,
};
const chatTools = [{ type: "function", function: { name: "weather", parameters } }];
const tools = [{ type: "function", name: "weather", parameters, strict: true }];

async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const answer = await client.chat.completions.create({ model, messages });
seen["chat"] = answer.choices[0].message.content;
const chunks = await all(await client.chat.completions.create({
  model, messages, stream: true, stream_options: { include_usage: true },
}));
seen["chat stream"] = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
seen["chat stream usage"] = chunks.filter((chunk) => chunk.usage).map((chunk) => chunk.usage.total_tokens);
seen["chat stream reason"] = chunks.filter((chunk) => chunk.choices[0]).at(-1).choices[0].finish_reason;
let called = await client.chat.completions.create({ model, messages, tools: chatTools });
const [call] = called.choices[0].message.tool_calls;
seen["chat tool"] = [call.function.name, JSON.parse(call.function.arguments)];
const again = await client.chat.completions.create({
  model, tools: chatTools,
  messages: [...messages, called.choices[0].message,
             { role: "tool", tool_call_id: call.id, content: "mild" }],
});
seen["chat after tool"] = again.choices[0].message.content;
const final = await client.chat.completions.stream({ model, messages, tools: chatTools })
  .finalChatCompletion();
seen["chat stream tool"] = final.choices[0].message.tool_calls[0].function.arguments;

let cut = await client.chat.completions.create({ model, messages, max_completion_tokens: 2 });
seen["chat cut"] = [cut.choices[0].message.content, cut.choices[0].finish_reason, cut.usage.completion_tokens];
const cutChunks = await all(await client.chat.completions.create({
  model, messages, stream: true, max_tokens: 2,
}));
seen["chat stream cut"] = [
  cutChunks.map((chunk) => chunk.choices[0].delta.content ?? "").join(""),
  cutChunks.at(-1).choices[0].finish_reason,
];

const response = await client.responses.create({ model, input: "Say this is a test." });
seen["responses"] = response.output_text;
seen["responses stream"] = (await all(await client.responses.create({ model, input: "Hi", stream: true })))
  .map((event) => event.type);
const stream = client.responses.stream({ model, input: "Hi" });
seen["responses stream text"] = (await all(stream))
  .filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");
seen["responses stream final"] = (await stream.finalResponse()).output_text;
called = await client.responses.create({ model, input: "Hi", tools });
seen["responses tool"] = [called.output[0].name, JSON.parse(called.output[0].arguments)];
seen["responses stream tool"] =
  (await all(await client.responses.create({ model, input: "Hi", stream: true, tools })))
    .map((event) => event.type);
cut = await client.responses.create({ model: "long", input: "Hi", max_output_tokens: 16 });
seen["responses cut"] = [cut.output_text, cut.status, cut.incomplete_details.reason, cut.usage.output_tokens];
const last = (await all(await client.responses.create({
  model: "long", input: "Hi", stream: true, max_output_tokens: 16,
}))).at(-1);
seen["responses stream cut"] = [last.type, last.response.status, last.response.incomplete_details.reason];

const completion = await client.completions.create({ model, prompt: ["a", "b"] });
seen["completions"] = completion.choices.map((choice) => choice.text);
cut = await client.completions.create({ model, prompt: "a", max_tokens: 2 });
seen["completions cut"] = [cut.choices[0].text, cut.choices[0].finish_reason];
const parts = await all(await client.completions.create({
  model, prompt: "a", stream: true, stream_options: { include_usage: true },
}));
seen["completions stream"] = parts.map((part) => part.choices[0]?.text ?? "").join("");
seen["completions stream usage"] = parts.filter((part) => part.usage).map((part) => part.usage.total_tokens);
seen["completions stream reasons"] =
  parts.flatMap((part) => part.choices.map((choice) => choice.finish_reason));

const embed = (input, more) =>
  client.embeddings.create({ model: "text-embedding-3-small", input, dimensions: 16, ...more });
const [first, other, same] = (await embed(["a", "b", "a"])).data.map((item) => item.embedding);
const floats = (await embed("a", { encoding_format: "float" })).data[0].embedding;
seen["embeddings"] = [
  first.length, `${first}` === `${same}`, `${first}` === `${other}`,
  Math.max(...first.map((value, index) => Math.abs(value - floats[index]))) < 1e-6,
];
let images = await client.images.generate({ model: "dall-e-2", prompt: "a", n: 2 });
seen["images"] = images.data.map((image) => image.url.startsWith("https://"));
images = await client.images.generate({ model: "gpt-image-1", prompt: "a" });
seen["image"] = images.data[0].b64_json.slice(0, 8);
seen["moderations"] = (await client.moderations.create({ input: "a" })).results[0].flagged;
const spoken = await client.audio.speech.create({
  model: "tts-1", voice: "alloy", input: "a", response_format: "wav",
});
seen["speech"] = Buffer.from(await spoken.arrayBuffer()).subarray(0, 4).toString();

const content = ["a", "b"].map((custom_id) => JSON.stringify({
  custom_id, method: "POST", url: "/v1/chat/completions", body: { model, messages },
})).join("\n");
const upload = (text, name) =>
  toFile(Buffer.from(text), name).then((file) => client.files.create({ file, purpose: "batch" }));
const file = await upload(content, "in.jsonl");
seen["files"] = (await all(client.files.list({ purpose: "batch" })))
  .map((one) => [one.filename, one.bytes === Buffer.byteLength(content)]);
seen["file content"] = (await (await client.files.content(file.id)).text()) === content;
const makeBatch = (input_file_id, endpoint) => client.batches.create({
  input_file_id, endpoint, completion_window: "24h", metadata: { a: "b" },
});
let batch = await makeBatch(file.id, "/v1/chat/completions");
seen["batch made"] = batch.status;
batch = await client.batches.retrieve(batch.id);
seen["batch"] = [batch.status, batch.request_counts.completed, batch.metadata];
seen["batch answers"] = (await (await client.files.content(batch.output_file_id)).text()).trim()
  .split("\n").map((line) => JSON.parse(line))
  .map((line) => [line.custom_id, line.response.body.choices[0].message.content]);
const large = JSON.stringify({
  custom_id: "a", method: "POST", url: "/v1/embeddings", body: { model: "full", input: "Hello there" },
});
const queued = await makeBatch((await upload(large, "large.jsonl")).id, "/v1/embeddings");
const failed = await client.batches.retrieve(queued.id);
seen["batch failed"] = [failed.status, failed.errors.data[0].code, failed.errors.data[0].message];
seen["batches"] = (await all(client.batches.list({ limit: 1 })))
  .map((one, index) => one.id === [queued.id, batch.id][index]);
try {
  await client.batches.cancel(batch.id);
} catch (error) {
  seen["batch ended"] = error.status;
}
seen["file deleted"] = (await client.files.delete(file.id)).deleted;
try {
  await client.files.retrieve(file.id);
} catch (error) {
  seen["file gone"] = error.param;
}

const jobs = await client.fineTuning.jobs.list();
seen["fine_tuning"] = (await all(jobs)).map((job) => job.fine_tuned_model);
seen["fine_tuning job"] = (await client.fineTuning.jobs.retrieve(jobs.data[0].id)).status;
seen["fine_tuning events"] = await all(client.fineTuning.jobs.listEvents(jobs.data[0].id));
seen["models"] = (await all(client.models.list())).map((one) => one.id);

console.log(JSON.stringify(seen));
