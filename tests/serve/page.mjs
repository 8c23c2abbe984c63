// The page in headless Chromium, as a person would use it. Screenshots go to the folder given.
// usage: node page.mjs PORT_FILE_FOLDER ; environment: BISE, BISE_NPM (node_modules beside it), CHROMIUM
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, writeFileSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const require = createRequire(resolve(process.env.BISE_NPM || ".") + "/package.json");
const { chromium } = require("playwright-core");
const shots = process.argv[2] || mkdtempSync(join(tmpdir(), "bise-shots."));
let bad = 0;
const check = (name, good, why) => { console.log(`${good ? "ok" : "not ok"} ${name}${good || why == null ? "" : ": " + JSON.stringify(why)}`); if (!good) bad++; };

// A server; the same port again where one is given.
function serve(port = 0, ...options) {
  return new Promise((done, fail) => {
    const p = spawn(process.env.BISE, ["serve", "--port", String(port), "-q", ...options], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    p.stderr.on("data", (d) => {
      said += d;
      const m = /^address  http:\/\/\S*:(\d+)\/$/m.exec(said);
      if (m) done({ process: p, port: Number(m[1]) });
    });
    p.on("exit", () => fail(new Error(said)));
  });
}
const stop = (s) => new Promise((done) => { s.process.removeAllListeners("exit"); s.process.on("exit", done); s.process.kill("SIGKILL"); });

let server = await serve(0, "-t", "1", "--isa", "scalar");
const profile = mkdtempSync(join(tmpdir(), "bise-chromium."));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true, acceptDownloads: true, viewport: { width: 1280, height: 800 },
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = browser.pages()[0] || (await browser.newPage());
const faults = [], asked = new Set();
page.on("console", (m) => { if (m.type() === "error") faults.push(m.text()); });
page.on("pageerror", (e) => faults.push(String(e)));
page.on("request", (r) => asked.add(new URL(r.url()).host));
page.on("dialog", (d) => d.accept());
const shot = (name) => page.screenshot({ path: join(shots, name + ".png") });
const address = `http://127.0.0.1:${server.port}/`;
const bodies = (role) => page.locator(`article.${role} .body`).allInnerTexts();
const idle = () => page.waitForFunction(() => document.getElementById("stop").hidden, null, { timeout: 60000 });
const type = async (text) => { await page.locator("#input").fill(text); await page.keyboard.press("Enter"); };

await page.goto(address);
await page.waitForSelector("#model:not(:empty)");
check("model_is_named", (await page.locator("#model").innerText()).includes("demo"), await page.locator("#model").innerText());

// Settings: greedy and short, so that what is seen can be foreseen.
await page.locator("#settings-open").click();
await page.locator("#s-temperature").fill("0");
await page.locator("#s-max_tokens").fill("24");
await page.locator("#s-max_tokens").blur();
await shot("settings");
await page.keyboard.press("Escape");
check("escape_closes_settings", await page.locator("#settings").isHidden());

await type("Tell me about the old king");
await idle();
let answers = await bodies("assistant");
check("answer_is_streamed", answers.length === 1 && answers[0].length > 3, answers);
await shot("answer");
const first = answers[0];

await page.getByRole("button", { name: "Answer again with another seed" }).click();
await idle();
check("greedy_again_is_the_same", (await bodies("assistant"))[0] === first);

// Edit and resend.
await page.locator("article.user").getByRole("button", { name: "Edit this message" }).click();
await page.locator("article textarea").fill("What is the sea?");
await page.keyboard.press("Enter");
await idle();
check("edited_and_sent", (await bodies("user"))[0] === "What is the sea?" && (await bodies("assistant")).length === 1);

// Stop.
await page.locator("#settings-open").click();
await page.locator("#s-max_tokens").fill("20000");
await page.locator("#s-temperature").fill("2");
await page.locator("#s-temperature").blur();
await page.evaluate(() => { const s = JSON.parse(localStorage.getItem("bise-settings")); s.seed = "1"; localStorage.setItem("bise-settings", JSON.stringify(s)); });
await page.keyboard.press("Escape");
let stopped = false;
for (let i = 0; i < 8 && !stopped; i++) {
  await type("Go on and on");
  await page.waitForFunction(() => { const a = document.querySelectorAll("article.assistant .body"); return a.length && (a[a.length - 1].innerText.length > 0 || document.getElementById("stop").hidden); });
  await page.keyboard.press("Escape");
  await idle();
  stopped = (await page.locator("#status").innerText()) === "Stopped.";
}
check("escape_stops", stopped);

// Reload.
const before = await bodies("user");
await page.reload();
await page.waitForSelector("article.user");
check("reload_keeps_the_conversation", JSON.stringify(await bodies("user")) === JSON.stringify(before), await bodies("user"));

// A reply full of HTML and script is text.
const evil = "<script>window.hit = 1</script><img src=x onerror=\"window.hit=2\"> [a](javascript:window.hit=3) ![i](http://example.org/x.png)\n\n" +
  "```html\n<b onclick=\"hit()\">bold</b>\n```\n\n# Head <i>\n\n- one\n- **two**\n\n| a | b |\n|---|---|\n| <u>1</u> | `2` |\n\n> quote https://example.org/a?b=c.";
writeFileSync(join(shots, "evil.json"), JSON.stringify({ conversations: [{ title: "evil <b>title</b>", messages: [{ role: "user", content: "<h1>hi</h1>" }, { role: "assistant", content: evil }] }] }));
await page.locator("#import-file").setInputFiles(join(shots, "evil.json"));
await page.waitForFunction(() => document.querySelector("article.assistant table"));
const seen = await page.evaluate(() => ({
  hit: window.hit, scripts: document.querySelectorAll("#log script, #log img, #log i, #log b, #log u").length,
  links: [...document.querySelectorAll("#log a")].map((a) => [a.protocol, a.rel]), text: document.querySelector("article.assistant .body").innerText }));
check("html_is_text", seen.hit === undefined && seen.scripts === 0 && seen.text.includes("<script>window.hit = 1</script>"), seen);
check("links_are_safe", seen.links.length === 2 && seen.links.every(([p, r]) => /^https?:$/.test(p) && r.includes("noopener")), seen.links);
check("markdown", (await page.locator("#log pre code").count()) === 1 && (await page.locator("#log li strong").count()) === 1 && (await page.locator("#log td").count()) === 2);
await shot("markdown-light");
await page.emulateMedia({ colorScheme: "dark" });
await shot("markdown-dark");

// Contrast of what stands on the page, in both colours.
const contrast = () => page.evaluate(() => {
  const rgb = (c) => c.match(/[\d.]+/g).map(Number);
  const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const ground = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
  let least = 99, where = "";
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
    const a = light(rgb(getComputedStyle(e).color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < least) { least = ratio; where = e.outerHTML.slice(0, 80); }
  }
  return { least, where };
});
let c = await contrast();
check("contrast_dark", c.least >= 4.5, c);
await page.emulateMedia({ colorScheme: "light" });
c = await contrast();
check("contrast_light", c.least >= 4.5, c);

// Search, export.
await page.locator("#search").fill("evil");
check("search", (await page.locator("#list button").count()) === 1);
await page.locator("#search").fill("");
const [download] = await Promise.all([page.waitForEvent("download"), page.locator("#export").click()]);
const exported = JSON.parse(readFileSync(await download.path(), "utf8"));
check("export", exported.conversations.length === 2 && exported.conversations.some((x) => x.messages.some((m) => m.content === evil)), exported.conversations.length);
const [markdown] = await Promise.all([page.waitForEvent("download"), page.locator("#export-md").click()]);
writeFileSync(join(shots, "again.md"), readFileSync(await markdown.path()));
await page.locator("#import-file").setInputFiles(join(shots, "again.md"));
await page.waitForFunction(() => document.querySelectorAll("#list button").length === 3);
check("markdown_comes_back", (await page.locator("#log td").count()) === 2);

// A dropped file becomes text.
await page.evaluate(() => {
  const t = new DataTransfer();
  t.items.add(new File(["line ``` one"], "note.txt", { type: "text/plain" }));
  document.dispatchEvent(new DragEvent("drop", { dataTransfer: t, bubbles: true, cancelable: true }));
});
await page.waitForFunction(() => document.getElementById("input").value.includes("note.txt"));
check("file_dropped", (await page.locator("#input").inputValue()).includes("````\nline ``` one\n````"));
await page.locator("#input").fill("");

// The server goes and comes back; what was typed stays.
const port = server.port;
await stop(server);
await page.locator("#input").fill("typed while away");
await page.keyboard.press("Enter");
await page.waitForSelector("#away:not([hidden])", { timeout: 30000 });
check("away_is_said", (await page.locator("#away").innerText()).includes("cannot be reached"));
await shot("away");
server = await serve(port, "-t", "1", "--isa", "scalar");
await page.waitForSelector("#away", { state: "hidden", timeout: 30000 });
const kept = (await page.locator("#input").inputValue()) === "typed while away" || (await bodies("user")).includes("typed while away");
check("what_was_typed_stays", kept);

// The keyboard alone: a new conversation, a message, the settings.
await page.keyboard.press("Alt+n");
await page.keyboard.type("Hello there");
await page.keyboard.press("Enter");
await page.waitForSelector("article.assistant");
await page.keyboard.press("Escape");
await idle();
check("keyboard_alone", (await bodies("user"))[0] === "Hello there");
const focusable = await page.evaluate(() => [...document.querySelectorAll("button, input, select, textarea")].filter((e) => e.getClientRects().length).every((e) => e.tabIndex >= 0));
check("all_can_be_reached_by_tab", focusable);
const unnamed = await page.evaluate(() => [...document.querySelectorAll("button, input, select, textarea")].filter((e) =>
  !(e.getAttribute("aria-label") || e.textContent.trim() || (e.labels && e.labels.length))).map((e) => e.outerHTML));
check("labels", unnamed.length === 0, unnamed);

// A phone.
await page.setViewportSize({ width: 360, height: 640 });
await shot("phone");
await page.locator("#menu").click();
await shot("phone-menu");
const wide = await page.evaluate(() => document.documentElement.scrollWidth);
check("fits_360_pixels", wide <= 360, wide);
await page.keyboard.press("Escape");
await page.emulateMedia({ colorScheme: "dark" });
await shot("phone-dark");
await page.locator("#settings-open").click();
await shot("phone-settings");

check("no_other_server_is_asked", [...asked].every((h) => h === `127.0.0.1:${port}` || h === ""), [...asked]);
const real = faults.filter((f) => !/ERR_CONNECTION_REFUSED|ERR_INCOMPLETE|ERR_CONNECTION_RESET|ERR_EMPTY/.test(f));
check("no_fault_in_the_console", real.length === 0, real);
await browser.close();
await stop(server);
process.exit(bad ? 1 : 0);
