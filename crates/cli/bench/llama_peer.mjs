// llama.cpp as a peer of `latent bench`, on two threads or on a GPU, through the npm package
// node-llama-cpp:
//
//     npm install --prefix FOLDER node-llama-cpp
//     latent bench --model FILE.gguf \
//         --peer "llama.cpp=node crates/cli/bench/llama_peer.mjs FOLDER FILE.gguf [vulkan]"
//
// A line of JSON each way; crates/cli/src/bench/process.rs says what they hold.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, modelPath, gpu = false] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/node_modules/`));
const { getLlama } = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const llama = await getLlama({ gpu, maxThreads: 2, logLevel: "error" });
const model = await llama.loadModel({ modelPath });
const contexts = new Map();

async function sequencesOf(lanes) {
    if (!contexts.has(lanes)) {
        const context = await model.createContext({ sequences: lanes, contextSize: 512, threads: 2 });
        contexts.set(lanes, Array.from({ length: lanes }, () => context.getSequence()));
    }
    return contexts.get(lanes);
}

async function decode({ prompt, lanes, steps }) {
    const begun = performance.now();
    const runs = await Promise.all((await sequencesOf(lanes)).map(async (sequence) => {
        await sequence.clearHistory();
        const tokens = sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true });
        return { tokens, chosen: [(await tokens.next()).value] };
    }));
    const started = performance.now();
    const first_token = (started - begun) / 1000;
    await Promise.all(runs.map(async ({ tokens, chosen }) => {
        while (chosen.length <= steps) chosen.push((await tokens.next()).value);
    }));
    const seconds = (performance.now() - started) / 1000 / steps;
    await Promise.all(runs.map(({ tokens }) => tokens.return()));
    return { first_token, seconds, tokens: runs[0].chosen };
}

for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await decode(JSON.parse(line))));
}
process.exit(0);
