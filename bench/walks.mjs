// Checks random walks (tests/golden/schemas --walks) by ajv, ajv-formats and ajv-draft-04.
// usage: AJV=FOLDER_WITH_NODE_MODULES node walks.mjs FILE
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire((process.env.AJV ?? process.cwd()) + "/");
const formats = require("ajv-formats").default;
const options = { strict: false, logger: false, unicodeRegExp: true };
const kinds = [
  [/draft-0[34]/, require("ajv-draft-04").default],
  [/2019-09/, require("ajv/dist/2019").default],
  [/2020-12/, require("ajv/dist/2020").default],
  [/./, require("ajv").default],
];

let n = 0, bad = 0, skipped = 0, last = "", check = null;
for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  if (!line) continue;
  const walk = JSON.parse(line);
  const text = JSON.stringify(walk.schema);
  if (text !== last) {
    last = text;
    const kind = kinds.find(([name]) => name.test(walk.schema.$schema ?? (text.includes('"prefixItems"') || text.includes('"$defs"') || text.includes('"dependent') || text.includes('"unevaluated') ? "2020-12" : "07")))[1];
    try {
      const schema = typeof walk.schema === "object" ? { ...walk.schema } : walk.schema;
      const ajv = new kind(options);
      formats(ajv);
      if (schema.$schema && !ajv.getSchema(schema.$schema)) delete schema.$schema;
      check = ajv.compile(schema);
    } catch {
      check = null;
    }
  }
  if (!check) { skipped++; continue; }
  n++;
  if (!check(JSON.parse(walk.text))) {
    bad++;
    const e = check.errors[0];
    console.log("invalid:", walk.name, e.instancePath, e.schemaPath, e.message, "|", walk.text.slice(0, 300));
  }
}
console.log(`ajv: ${n} texts, ${bad} invalid, ${skipped} of schemas it cannot take`);
process.exit(bad ? 1 : 0);
