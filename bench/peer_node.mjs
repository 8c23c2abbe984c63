// Times the prebuilt llama.cpp of the npm package node-llama-cpp; run by bench/peers.sh.
// usage: node peer_node.mjs PACKAGE_FOLDER MODEL.gguf THREADS N_PROMPT N_GEN
// Prints: prompt tokens/s, generated tokens/s.
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";
import path from "node:path";

const [, , folder, modelPath, threads, nPrompt, nGen] = process.argv;
const require = createRequire(path.join(path.resolve(folder), "x.js"));
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(require.resolve("node-llama-cpp")));

const llama = await getLlama({gpu: false, build: "never", logLevel: LlamaLogLevel.error, maxThreads: +threads});
const model = await llama.loadModel({modelPath});
const contextSize = +nPrompt + +nGen + 16;
const context = await model.createContext({contextSize, threads: +threads, batchSize: 512});
const sequence = context.getSequence();
const prompt = Array.from({length: +nPrompt}, (_, i) => (i * 7919) % 31000 + 100);

const start = performance.now();
let next;
for await (const id of sequence.evaluate(prompt, {temperature: 0})) {
    next = id;
    break;
}
const middle = performance.now();
let n = 0;
for await (const _ of sequence.evaluate([next], {temperature: 0})) {
    if (++n >= +nGen)
        break;
}
const end = performance.now();
console.log((+nPrompt * 1e3 / (middle - start)).toFixed(3), (n * 1e3 / (end - middle)).toFixed(3));
process.exit(0);
