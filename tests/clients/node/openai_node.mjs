// What a user of openai-node does: `node openai_node.mjs URL`. Prints one JSON object.
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const url = process.argv[2];
const model = "DeepSeek-V4-Flash";
const messages = [{ role: "user", content: "hello" }];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const found = {};
const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status, error.code, error.param];
  }
  return ["no error"];
}

// Chats.
const plain = await client.chat.completions.create({ model, messages });
found["chat plain"] = plain.choices[0].message.content;
let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true }))
  text += chunk.choices[0]?.delta?.content ?? "";
found["chat stream"] = text;
found["chat helper"] = await client.chat.completions
  .stream({ model, messages })
  .finalContent();

// Responses.
const response = await client.responses.create({ model, input: "hello" });
found["response plain"] = response.output_text;
const kinds = [];
const stream = await client.responses.create({ model, input: "hello", stream: true });
for await (const event of stream) kinds.push(event.type);
found["response ends"] = [kinds[0], kinds.at(-1)];
const helper = client.responses.stream({ model, input: "hello" });
found["response helper"] = (await helper.finalResponse()).output_text;
let later = await client.responses.create({ model, input: "later", background: true });
while (["queued", "in_progress"].includes(later.status)) {
  await pause();
  later = await client.responses.retrieve(later.id);
}
found["background"] = [later.status, later.output_text];
const numbers = [];
for await (const event of await client.responses.retrieve(later.id, { stream: true }))
  numbers.push(event.sequence_number);
found["replayed"] = numbers.every((number, index) => number === index);
found["deleted"] = await client.responses.delete(later.id);

// Files and batches.
const line = { custom_id: "a", method: "POST", url: "/v1/chat/completions", body: { model, messages } };
const file = await client.files.create({
  file: await toFile(Buffer.from(JSON.stringify(line) + "\n"), "in.jsonl"),
  purpose: "batch",
});
let batch = await client.batches.create({
  input_file_id: file.id,
  endpoint: "/v1/chat/completions",
  completion_window: "24h",
});
while (["validating", "in_progress", "finalizing"].includes(batch.status)) {
  await pause();
  batch = await client.batches.retrieve(batch.id);
}
const out = await (await client.files.content(batch.output_file_id)).text();
found["batch"] = [batch.status, JSON.parse(out).response.body.choices[0].message.content];

// Errors, and a client that gives up after a second and asks again.
found["error"] = await refused(() => client.models.retrieve("none/such"));
const hasty = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", timeout: 1000, maxRetries: 100 });
const slow = await hasty.chat.completions.create({
  model,
  messages: [{ role: "user", content: "slow ".repeat(2000) + "node" }],
});
found["retried chat"] = slow.choices[0].message.content;
fs.writeSync(1, JSON.stringify(found) + "\n");
