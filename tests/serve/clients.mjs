// The clients that people use, against a running server.
// usage: node clients.mjs DEMO_PORT V3_PORT ; environment: BISE_NPM (a folder with node_modules)
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(resolve(process.env.BISE_NPM || ".") + "/package.json");
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")).href);
const [demo, v3] = process.argv.slice(2).map((port) => `http://127.0.0.1:${port}`);
let bad = 0;
const check = (name, good, why) => { console.log(`${good ? "ok" : "not ok"} ${name}${good || why === undefined ? "" : ": " + String(JSON.stringify(why)).slice(0, 600)}`); if (!good) bad++; };
const attempt = async (name, test) => { try { await test(); } catch (e) { check(name, false, String(e.stack || e)); } };

const client = new OpenAI({ baseURL: demo + "/v1", apiKey: "none", maxRetries: 0 });
const tools = new OpenAI({ baseURL: v3 + "/v1", apiKey: "none", maxRetries: 0 });
const question = { model: "any", messages: [{ role: "user", content: "I want to find a restaurant in San Jose." }], temperature: 0, max_tokens: 24 };
const schema = { type: "object", properties: { name: { type: "string", maxLength: 10 }, n: { type: "integer", minimum: 0, maximum: 9 } }, required: ["name", "n"], additionalProperties: false };
const tool = { type: "function", function: { name: "find", description: "finds", parameters: { type: "object", properties: { what: { type: "string", maxLength: 10 } }, required: ["what"], additionalProperties: false } } };

await attempt("openai_chat", async () => {
  const whole = await client.chat.completions.create(question);
  check("openai_chat", whole.choices[0].message.content.length > 0 && whole.usage.total_tokens > 0 && whole.choices[0].finish_reason, whole);
  const stream = await client.chat.completions.create({ ...question, stream: true, stream_options: { include_usage: true } });
  let text = "", usage;
  for await (const chunk of stream) { text += chunk.choices[0]?.delta?.content || ""; usage = chunk.usage || usage; }
  check("openai_stream", text === whole.choices[0].message.content && usage.completion_tokens === whole.usage.completion_tokens, [text, whole.choices[0].message.content]);
  const runner = await client.chat.completions.stream({ ...question, logprobs: true }).finalChatCompletion();
  check("openai_stream_helper", runner.choices[0].message.content === text, runner);
});
await attempt("openai_parts", async () => {
  const r = await client.chat.completions.create({ model: "x", max_completion_tokens: 5, temperature: 0, messages: [{ role: "developer", content: "Be brief." }, { role: "user", content: [{ type: "text", text: "Hello" }] }] });
  check("openai_parts", r.usage.completion_tokens <= 5 && r.choices.length === 1, r);
});
await attempt("openai_logprobs", async () => {
  const r = await client.chat.completions.create({ ...question, logprobs: true, top_logprobs: 3, n: 2, seed: 7 });
  const l = r.choices[0].logprobs.content;
  check("openai_logprobs", r.choices.length === 2 && l.length > 0 && l[0].top_logprobs.length === 3 && l[0].logprob <= 0, r.choices[0]);
});
await attempt("openai_schema", async () => {
  const r = await client.chat.completions.create({ ...question, max_tokens: 200, temperature: 1, seed: 3, response_format: { type: "json_schema", json_schema: { name: "x", schema, strict: true } } });
  const v = JSON.parse(r.choices[0].message.content);
  check("openai_schema", typeof v.name === "string" && Number.isInteger(v.n), r.choices[0]);
});
await attempt("openai_completions", async () => {
  const r = await client.completions.create({ model: "x", prompt: "The old king", max_tokens: 8, temperature: 0, echo: true, logprobs: 1 });
  const c = r.choices[0];
  check("openai_completions", c.text.startsWith("The old king") && c.logprobs.tokens.join("").trimStart() === c.text && c.logprobs.tokens.length === c.logprobs.token_logprobs.length, c);
});
await attempt("openai_models", async () => {
  const list = await client.models.list();
  const one = await client.models.retrieve(list.data[0].id);
  check("openai_models", one.id === list.data[0].id && one.object === "model", one);
});
await attempt("openai_tools", async () => {
  const r = await tools.chat.completions.create({ ...question, max_tokens: 200, temperature: 1, seed: 1, tools: [tool], tool_choice: "required" });
  const calls = r.choices[0].message.tool_calls;
  check("openai_tools", calls[0].function.name === "find" && typeof JSON.parse(calls[0].function.arguments).what === "string", r.choices[0]);
  const final = await tools.chat.completions.stream({ ...question, max_tokens: 200, temperature: 1, seed: 1, tools: [tool], tool_choice: "required" }).finalChatCompletion();
  check("openai_tools_stream", JSON.stringify(final.choices[0].message.tool_calls.map((c) => [c.id, c.function.name, c.function.arguments])) === JSON.stringify(calls.map((c) => [c.id, c.function.name, c.function.arguments])), final.choices[0]);
});
const classOf = async (promise) => { try { await promise; return "none"; } catch (e) { return e.constructor.name; } };
await attempt("openai_errors", async () => {
  check("openai_bad_request", (await classOf(client.chat.completions.create({ ...question, temperature: -1 }))) === "BadRequestError");
  check("openai_not_found", (await classOf(client.models.retrieve("nothing"))) === "NotFoundError");
});
await attempt("openai_abort", async () => {
  const stream = await client.chat.completions.create({ ...question, max_tokens: 100000, temperature: 1, logit_bias: { 2: -100 }, stream: true });
  let n = 0;
  for await (const chunk of stream) if (++n === 5) { stream.controller.abort(); break; }
  const busy = async () => Number(/^bise_busy_sequences (\d+)/m.exec(await (await fetch(demo + "/metrics")).text())[1]);
  let left = 1;
  for (let i = 0; i < 100 && (left = await busy()) > 0; i++) await new Promise((r) => setTimeout(r, 50));
  check("openai_abort", n === 5 && left === 0, [n, left]);
});

await attempt("mistral", async () => {
  const { Mistral } = await import(pathToFileURL(require.resolve("@mistralai/mistralai")).href);
  const m = new Mistral({ serverURL: v3, apiKey: "none" });
  const q = { model: "any", messages: question.messages, temperature: 0, maxTokens: 24, randomSeed: 3 };
  const whole = await m.chat.complete(q);
  check("mistral_chat", typeof whole.choices[0].message.content === "string" && whole.usage.totalTokens > 0, whole);
  let text = "", finish;
  for await (const event of await m.chat.stream(q)) { text += event.data.choices[0]?.delta?.content || ""; finish = event.data.choices[0]?.finishReason || finish; }
  check("mistral_stream", text === whole.choices[0].message.content && finish, [text, whole.choices[0].message.content]);
  const r = await m.chat.complete({ ...q, maxTokens: 300, temperature: 1, tools: [tool], toolChoice: "any", parallelToolCalls: false });
  const call = r.choices[0].message.toolCalls[0];
  check("mistral_tools", call.function.name === "find" && r.choices[0].message.toolCalls.length === 1, r.choices[0]);
  const back = await m.chat.complete({ ...q, messages: [...q.messages, r.choices[0].message, { role: "tool", toolCallId: call.id, name: "find", content: "22" }] });
  check("mistral_results", typeof back.choices[0].message.content === "string", back);
  const j = await m.chat.complete({ ...q, maxTokens: 300, temperature: 1, responseFormat: { type: "json_schema", jsonSchema: { name: "x", schemaDefinition: schema } } });
  check("mistral_schema", Number.isInteger(JSON.parse(j.choices[0].message.content).n), j.choices[0]);
  const kind = await classOf(m.chat.complete({ ...q, temperature: -1 }));
  check("mistral_error", /Error/.test(kind), kind);
});
process.exit(bad ? 1 : 0);
