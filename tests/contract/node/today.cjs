// Today's API through the npm package `openai`: upload, job, follow, ask, stream. Prints one JSON object.
// node today.cjs MODULES_FOLDER BASE_URL KEY TRAIN_JSONL
const fs = require("node:fs");
const { createRequire } = require("node:module");

const [modules, baseURL, apiKey, file] = process.argv.slice(2);
const { OpenAI } = createRequire(`${modules}/`)("openai");
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });

async function ended(id) {
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (["succeeded", "failed", "cancelled"].includes(job.status)) return job;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main() {
  const base = (await client.models.list()).data[0].id;
  const uploaded = await client.files.create({ file: fs.createReadStream(file), purpose: "fine-tune" });
  const created = await client.fineTuning.jobs.create({
    model: base, training_file: uploaded.id, suffix: "node",
    method: { type: "supervised", supervised: { hyperparameters: { n_epochs: 2, batch_size: 8 } } },
  });
  const job = await ended(created.id);
  const events = [];
  for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 5 })) events.push(event.message);
  const checkpoints = (await client.fineTuning.jobs.checkpoints.list(job.id)).data.length;
  const model = job.fine_tuned_model;
  const prompt = "cherry number 2\n\n###\n\n";
  const ask = { model, prompt, max_tokens: 4, temperature: 0, stop: "\n" };
  const completion = (await client.completions.create(ask)).choices[0].text;
  let streamed = "";
  for await (const chunk of await client.completions.create({ ...ask, stream: true })) streamed += chunk.choices[0].text;
  const messages = [{ role: "user", content: "Hello" }];
  const chat = (await client.chat.completions.create({ model, messages, max_completion_tokens: 16, temperature: 0 })).choices[0].message.content;
  const response = await client.responses.create({ model, input: messages, max_output_tokens: 16, temperature: 0 });
  const stream = client.responses.stream({ model, input: messages, max_output_tokens: 16, temperature: 0 });
  const final = await stream.finalResponse();
  const embedder = (await client.models.list()).data[1].id;
  const vector = (await client.embeddings.create({ model: embedder, input: "Hello" })).data[0].embedding.length;
  let refusal = null;
  try {
    await client.completions.create({ model: "no-such-model", prompt: "x" });
  } catch (error) {
    refusal = [error.constructor.name, error.status, error.code, error.param];
  }
  console.log(JSON.stringify({
    status: job.status, model, events, checkpoints, completion, streamed, chat, response: response.output_text, final: final.output_text,
    vector, refusal,
  }));
}

main();
