// The API of 2021 through the npm package `openai` 3, with the calls that the guide of that time prints. Prints one JSON object.
// node of_2022.cjs MODULES_FOLDER BASE_URL KEY TRAIN_JSONL
const fs = require("node:fs");
const { createRequire } = require("node:module");

const [modules, basePath, apiKey, file] = process.argv.slice(2);
const { Configuration, OpenAIApi } = createRequire(`${modules}/`)("openai-of-2022");
const openai = new OpenAIApi(new Configuration({ apiKey, basePath }));

async function ended(id) {
  for (;;) {
    const fineTune = (await openai.retrieveFineTune(id)).data;
    if (["succeeded", "failed", "cancelled"].includes(fineTune.status)) return fineTune;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function main() {
  const uploaded = (await openai.createFile(fs.createReadStream(file), "fine-tune")).data;
  const created = (await openai.createFineTune({ training_file: uploaded.id, model: "ada", n_epochs: 2 })).data;
  const fineTune = await ended(created.id);
  const listed = (await openai.listFineTunes()).data.data.map((one) => one.id);
  const events = (await openai.listFineTuneEvents(fineTune.id)).data.data.map((event) => event.message);
  const model = fineTune.fine_tuned_model;
  const completion = (await openai.createCompletion({ model, prompt: "cherry number 2\n\n###\n\n", max_tokens: 4, temperature: 0 })).data;
  const deleted = (await openai.deleteModel(model)).data;
  console.log(JSON.stringify({
    status: fineTune.status, model, listed: listed.includes(fineTune.id), events, text: completion.choices[0].text, deleted: deleted.deleted,
  }));
}

main();
