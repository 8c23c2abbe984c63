// Compares `bise tokenize` with the npm package `tokenizers`, Hugging Face's own, native.
// usage: node tokenizer_json.mjs FOLDER_WITH_NODE_MODULES BISE TOKENIZER.json N [SEED] [LINES.jsonl...]
// N random strings made of the vocabulary's pieces, spaces, marks and characters of any kind, and the
// texts of LINES. Special tokens are taken out of what the package reads: bise never matches them in
// text. With --special they stay, and bise reads them as tokens too. Prints "N strings, D differences"; exit status 1 where there are any.
import { createRequire } from 'node:module';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const withSpecial = process.argv.includes('--special');
const [folder, bise, file, count, seed = '1', ...lines] =
    process.argv.slice(2).filter((x) => x !== '--special');
const { Tokenizer } = createRequire(path.resolve(folder) + '/')('tokenizers');

let state = BigInt(seed) * 0x9e3779b97f4a7c15n;
function random(n) { // splitmix64
    state = (state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
    let z = state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
    return Number((z ^ (z >> 31n)) % BigInt(n));
}

const json = JSON.parse(readFileSync(file, 'utf8'));
const pieces = Object.keys(json.model.vocab).map((p) => p.replaceAll('\u2581', ' '));
const names = json.added_tokens.filter((t) => !t.special).map((t) => t.content);
const special = json.added_tokens.filter((t) => t.special).map((t) => t.content);
if (!withSpecial) json.added_tokens = json.added_tokens.filter((t) => !t.special);
json.post_processor = null;

function character() {
    const kind = random(12);
    if (kind < 6) return String.fromCharCode(32 + random(95));
    if (kind < 8) return String.fromCodePoint(0xa0 + random(0x500));
    if (kind < 9) return String.fromCodePoint(0x4e00 + random(0x5000));
    if (kind < 10) return String.fromCodePoint(0x1f300 + random(0x400));
    return '\t\n\r\u2581\u00a0\u3000\u200d\u0000'[random(8)];
}

function part() {
    const kind = random(20);
    if (kind < 9) return pieces[random(pieces.length)];
    if (kind < 13) return ' '.repeat(random(random(8) ? 2 : 12) + 1);
    if (kind < 15 && names.length) return names[random(names.length)];
    if (kind < 16 && special.length) return special[random(special.length)];
    return character();
}

const texts = lines.flatMap((l) => readFileSync(l, 'utf8').trim().split('\n').map((x) => JSON.parse(x).text));
for (let i = 0; i < Number(count); i++) {
    let text = '';
    for (let n = 1 + random(random(10) ? 12 : 120); n > 0; n--) text += part();
    texts.push(text);
}

const work = mkdtempSync(path.join(tmpdir(), 'bise-compare-'));
try {
    writeFileSync(path.join(work, 'tokenizer.json'), JSON.stringify(json));
    const tokenizer = Tokenizer.fromFile(path.join(work, 'tokenizer.json'));
    const input = texts.map((text) => JSON.stringify({ text })).join('\n') + '\n';
    const run = spawnSync(bise, ['tokenize', '-m', file, '--jsonl', ...(withSpecial ? ['--special'] : [])], { input, maxBuffer: 1 << 30 });
    if (run.status !== 0) throw new Error(run.stderr.toString());
    const ours = run.stdout.toString().trim().split('\n').map((x) => JSON.parse(x).ids);
    if (ours.length !== texts.length) throw new Error(`${texts.length} texts, ${ours.length} answers`);
    let differences = 0;
    for (let at = 0; at < texts.length; at += 1000) {
        const batch = await tokenizer.encodeBatch(texts.slice(at, at + 1000), { addSpecialTokens: false });
        batch.forEach((encoding, i) => {
            const theirs = encoding.getIds();
            if (theirs.length === ours[at + i].length && theirs.every((id, j) => id === ours[at + i][j])) return;
            if (differences++ < 3)
                console.log(JSON.stringify({ text: texts[at + i], theirs, ours: ours[at + i] }));
        });
    }
    console.log(`${texts.length} strings, ${differences} differences`);
    process.exitCode = differences ? 1 : 0;
} finally {
    rmSync(work, { recursive: true });
}
