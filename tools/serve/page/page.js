// bise's page: conversations kept in this browser, answered by the server that the page came from.
const $ = (id) => document.getElementById(id);
const SETTINGS = ["temperature", "top_p", "top_k", "min_p", "repeat_penalty", "max_tokens", "seed", "overflow", "theme", "key"];
const state = { all: [], now: null, props: null, away: false, running: null, settings: {} };

// ---- elements: text only ever becomes text ----

function make(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === "on") for (const [event, handler] of Object.entries(value)) e.addEventListener(event, handler);
    else if (value === true) e.setAttribute(key, "");
    else if (value !== false && value != null) e.setAttribute(key, value);
  }
  e.append(...children);
  return e;
}
const button = (text, label, click) => make("button", { type: "button", "aria-label": label, on: { click } }, text);

// ---- Markdown, as nodes ----

const LINK = /^(https?:\/\/|mailto:)/i;

function link(address, text) {
  if (!LINK.test(address)) return document.createTextNode(text === address ? text : `${text} (${address})`);
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

const INLINE = [
  [/^\\([\\`*_{}[\]()#+\-.!~|<>])/, (m) => m[1]],
  [/^(`+)([\s\S]*?[^`])\1(?!`)/, (m) => make("code", {}, m[2].replace(/^ (.*) $/, "$1"))],
  [/^!\[([^\]\n]*)\]\(\s*<?([^\s)>]+)>?[^)\n]*\)/, (m) => link(m[2], m[1] || m[2])],
  [/^\[([^\]\n]+)\]\(\s*<?([^\s)>]+)>?[^)\n]*\)/, (m) => link(m[2], m[1])],
  [/^<((?:https?:\/\/|mailto:)[^\s<>]+)>/i, (m) => link(m[1], m[1])],
  [/^https?:\/\/[^\s<>()]*[^\s<>().,;:!?'"\]]/i, (m) => link(m[0], m[0])],
  [/^(\*\*|__)(?=\S)([\s\S]*?\S)\1/, (m) => make("strong", {}, ...inline(m[2]))],
  [/^~~(?=\S)([\s\S]*?\S)~~/, (m) => make("del", {}, ...inline(m[1]))],
  [/^\*(?=[^\s*])([\s\S]*?[^\s*])\*(?!\*)/, (m) => make("em", {}, ...inline(m[1]))],
  [/^_(?=[^\s_])([\s\S]*?[^\s_])_(?![\w_])/, (m) => make("em", {}, ...inline(m[1]))],
];

function inline(text) {
  const out = [];
  let plain = "", before = "";
  for (let at = 0; at < text.length; ) {
    let found = null;
    const rest = text.slice(at, at + 4000);
    if (/[\\`!\[<*_~hH]/.test(rest[0]) && !(/[_hH]/.test(rest[0]) && /\w/.test(before))) {
      for (const [pattern, node] of INLINE) {
        const m = pattern.exec(rest);
        if (m) { found = [m[0].length, node(m)]; break; }
      }
    }
    if (found) {
      if (plain) out.push(plain);
      plain = "";
      out.push(found[1]);
      at += found[0];
    } else plain += text[at++];
    before = text[at - 1];
  }
  if (plain) out.push(plain);
  return out;
}

function codeBlock(language, text) {
  const copy = button("Copy", "Copy the code", async () => {
    try { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; }
    catch { select(code); copy.textContent = "Selected: press Ctrl+C"; }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  });
  const code = make("code", {}, text);
  return make("div", { class: "code" }, make("div", { class: "row" }, make("span", {}, language || "code"), copy),
    make("pre", { tabindex: "0" }, code));
}

function select(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").map((c) => c.trim());
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

function list(lines) {
  const first = ITEM.exec(lines[0]);
  const ordered = /\d/.test(first[2]), depth = first[1].length;
  const items = [];
  for (const line of lines) {
    const m = ITEM.exec(line);
    if (m && m[1].length <= depth + 1) items.push([m[3]]);
    else items[items.length - 1].push(line.slice(Math.min(depth + 2, /^\s*/.exec(line)[0].length)));
  }
  const nodes = items.map((item) => make("li", {}, ...(item.length === 1 ? inline(item[0]) : blocks(item.join("\n")))));
  return ordered ? make("ol", { start: parseInt(first[2], 10) }, ...nodes) : make("ul", {}, ...nodes);
}

// The blocks of a text: code, headings, rules, quotes, tables, lists, paragraphs.
function blocks(text) {
  const lines = text.split("\n"), out = [];
  let i = 0;
  const while_ = (test) => { const from = i; while (i < lines.length && test(lines[i], i - from)) i++; return lines.slice(from, i); };
  while (i < lines.length) {
    const line = lines[i], fence = /^\s{0,3}(```+|~~~+)\s*([^\s`]*)/.exec(line), head = /^(#{1,6})\s+(.*?)#*\s*$/.exec(line);
    if (!line.trim()) i++;
    else if (fence) {
      i++;
      const inside = while_((l) => !(l.trim().startsWith(fence[1]) && !l.trim().slice(fence[1].length).trim()));
      i++;
      out.push(codeBlock(fence[2], inside.join("\n")));
    } else if (head) {
      i++;
      out.push(make("h" + Math.min(6, head[1].length + 2), {}, ...inline(head[2])));
    } else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(line)) {
      i++;
      out.push(make("hr"));
    } else if (/^\s{0,3}>/.test(line)) {
      out.push(make("blockquote", {}, ...blocks(while_((l) => /^\s{0,3}>/.test(l)).map((l) => l.replace(/^\s{0,3}> ?/, "")).join("\n"))));
    } else if (ITEM.test(line)) {
      out.push(list(while_((l, n) => !n || ITEM.test(l) || /^\s{2,}\S/.test(l))));
    } else if (line.includes("|") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[i + 1] || "") && lines[i + 1].includes("|")) {
      const rows = while_((l) => l.includes("|"));
      const row = (l, name) => make("tr", {}, ...cells(l).map((c) => make(name, {}, ...inline(c))));
      out.push(make("table", {}, make("thead", {}, row(rows[0], "th")), make("tbody", {}, ...rows.slice(2).map((l) => row(l, "td")))));
    } else {
      const part = while_((l, n) => !n || (l.trim() && !/^\s{0,3}(```|~~~|>|#{1,6}\s)/.test(l) && !ITEM.test(l)));
      const nodes = [];
      part.forEach((l, n) => nodes.push(...(n ? [make("br")] : []), ...inline(l)));
      out.push(make("p", {}, ...nodes));
    }
  }
  return out;
}

// ---- conversations, kept in IndexedDB ----

let base = null;
const wanted = (r) => new Promise((done, fail) => { r.onsuccess = () => done(r.result); r.onerror = () => fail(r.error); });

async function openBase() {
  try {
    const r = indexedDB.open("bise", 1);
    r.onupgradeneeded = () => r.result.createObjectStore("conversations", { keyPath: "id" });
    base = await wanted(r);
    state.all = await wanted(base.transaction("conversations").objectStore("conversations").getAll());
  } catch { say("Conversations cannot be kept in this browser; export what you need."); }
  state.all = state.all.filter((c) => c && Array.isArray(c.messages));
  state.all.sort((a, b) => b.changed - a.changed);
}

function keep(c) {
  c.changed = Date.now();
  if (base && c.messages.length) base.transaction("conversations", "readwrite").objectStore("conversations").put(c);
}

function forget(c) {
  state.all = state.all.filter((x) => x !== c);
  if (base) base.transaction("conversations", "readwrite").objectStore("conversations").delete(c.id);
}

const newId = () => Date.now().toString(36) + Math.random().toString(36).slice(2, 8);
const titleOf = (c) => c.title || (c.messages.find((m) => m.role === "user") || { content: "New conversation" }).content.trim().slice(0, 60) || "New conversation";

function begin() {
  if (state.now && !state.now.messages.length) return show(state.now);
  const c = { id: newId(), system: (state.now && state.now.system) || "", messages: [], changed: Date.now() };
  state.all.unshift(c);
  show(c);
}

// ---- what is seen ----

function say(text) { $("status").textContent = text; }

function drawList() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (c) => { const all = (titleOf(c) + "\n" + c.messages.map((m) => m.content).join("\n")).toLowerCase(); return words.every((w) => all.includes(w)); };
  $("list").replaceChildren(...state.all.filter((c) => !words.length || fits(c)).map((c) =>
    make("li", {}, make("button", { type: "button", "aria-current": String(c === state.now), on: { click: () => { show(c); closeMenu(); } } }, titleOf(c)))));
}

function drawTitle() {
  $("title").textContent = state.now ? titleOf(state.now) : "bise";
  document.title = (state.now && state.now.messages.length ? titleOf(state.now) + " · " : "") + "bise";
}

function facts(m) {
  const t = [];
  if (m.tokens) t.push(`${m.tokens} tokens`);
  if (m.rate) t.push(`${m.rate.toFixed(1)} tokens/s`);
  if (m.first != null) t.push(`first after ${m.first.toFixed(1)} s`);
  if (m.cached) t.push(`${m.cached} of ${m.prompt} cached`);
  if (m.finish === "length") t.push("ended by its length");
  if (m.finish === "content_filter") t.push("held back by moderation");
  if (m.finish === "stopped") t.push("stopped");
  if (m.seed != null) t.push(`seed ${m.seed}`);
  return t.join(" · ");
}

function drawMessage(m, i) {
  const c = state.now, last = i === c.messages.length - 1;
  const body = make("div", { class: "body" });
  if (m.role === "user") body.append(m.content);
  else body.append(...blocks(m.content));
  const acts = make("div", { class: "acts" });
  const e = make("article", { class: m.role, "aria-label": m.role === "user" ? "You" : "Answer" },
    make("div", { class: "who" }, m.role === "user" ? "You" : (state.props ? state.props.model : "bise")), body);
  if (m.error) body.append(make("p", { class: "fault", role: "alert" }, m.error));
  if (state.running && state.running.message === m) return e;
  acts.append(button("Copy", "Copy this message", async () => { try { await navigator.clipboard.writeText(m.content); say("Copied."); } catch { select(body); say("Selected: press Ctrl+C."); } }));
  acts.append(button("Edit", "Edit this message", () => edit(e, m, i)));
  if (m.role === "assistant" && last) acts.append(button("Again", "Answer again with another seed", () => again()));
  if (m.role === "user" && last) acts.append(button("Send again", "Send this message again", () => answer()));
  acts.append(button("Delete", "Delete this message and what follows", () => { c.messages.splice(i); keep(c); draw(); }));
  if (m.role === "assistant") acts.append(make("span", {}, facts(m)));
  e.append(acts);
  return e;
}

// How many of the messages, from the last one back, lie in so many tokens.
function firstWithin(c, tokens) {
  let sum = 0, i = c.messages.length;
  while (i > 0 && sum + (c.messages[i - 1].tokens || Math.ceil(c.messages[i - 1].content.length / 4)) <= tokens) sum += c.messages[--i].tokens || Math.ceil(c.messages[i].content.length / 4);
  return i;
}

function draw() {
  const c = state.now, log = $("log");
  const nodes = c.messages.map(drawMessage);
  const lastAnswer = c.messages.filter((m) => m.role === "assistant").pop();
  const p = state.props;
  let at = 0, why = "";
  if (lastAnswer && lastAnswer.dropped) { at = firstWithin(c, lastAnswer.prompt); why = "What stands above has left the context: the model no longer sees it."; }
  else if (p && p.window) { at = firstWithin(c, p.window); why = `What stands above is beyond the model's window of ${p.window} tokens: it is seen dimly or not at all.`; }
  if (at > 0 && at < nodes.length) nodes.splice(at, 0, make("div", { class: "left", role: "note" }, why));
  if (!nodes.length) nodes.push(make("p", { class: "quiet" }, "Ask something. Files can be dropped here; they are sent as text."));
  log.replaceChildren(...nodes);
  drawTitle();
  drawList();
}

function show(c) {
  state.now = c;
  $("system").value = c.system || "";
  localStorage.setItem("bise-now", c.id);
  draw();
  $("main").scrollTop = $("main").scrollHeight;
}

function edit(e, m, i) {
  const area = make("textarea", { "aria-label": "The message's text" });
  area.value = m.content;
  const c = state.now;
  const done = (sends) => {
    m.content = area.value;
    delete m.tokens;
    if (sends) c.messages.splice(i + 1);
    keep(c);
    draw();
    if (sends) answer();
  };
  const acts = make("div", { class: "acts" });
  if (m.role === "user") acts.append(button("Send", "Send the changed message", () => done(true)));
  acts.append(button("Keep", "Keep the changed text", () => done(false)), button("Cancel", "Leave it as it was", draw));
  area.addEventListener("keydown", (k) => {
    if (k.key === "Escape") { k.stopPropagation(); draw(); $("input").focus(); }
    if (k.key === "Enter" && !k.shiftKey && !k.isComposing && m.role === "user") { k.preventDefault(); done(true); }
  });
  e.replaceChildren(area, acts);
  area.focus();
}

// ---- the server ----

function headers() {
  const h = { "Content-Type": "application/json" };
  if (state.settings.key) h.Authorization = "Bearer " + state.settings.key;
  return h;
}

function setAway(text) {
  state.away = !!text;
  $("away").hidden = !text;
  $("away").textContent = text || "";
}

async function look() {
  try {
    const health = await (await fetch("health")).json();
    if (health.status === "loading") setAway("The server is loading its model …");
    else {
      if (!state.props || state.away) {
        const r = await fetch("props", { headers: headers() });
        if (r.status === 401) { setAway("The server asks for an API key: it belongs into the settings."); return; }
        state.props = await r.json();
        for (const [key, value] of Object.entries(state.props.defaults || {})) if ($("s-" + key)) $("s-" + key).placeholder = value;
        $("model").textContent = `${state.props.model} · context ${state.props.context}${state.props.window ? ` · window ${state.props.window}` : ""} · ${state.props.isa}`;
        if (state.now && !state.running) draw();
      }
      if (state.away) setAway("");
    }
  } catch { setAway("The server cannot be reached. What you type is kept; it is looked for again every few seconds."); }
}

function requestBody() {
  const c = state.now, s = state.settings, body = { messages: [], stream: true, stream_options: { include_usage: true } };
  if (c.system) body.messages.push({ role: "system", content: c.system });
  for (const m of c.messages) if (m !== state.running.message && (m.content || m.role === "user")) body.messages.push({ role: m.role, content: m.content });
  for (const key of ["temperature", "top_p", "top_k", "min_p", "repeat_penalty", "max_tokens"]) if (s[key] !== "" && s[key] != null) body[key] = Number(s[key]);
  if (s.seed !== "" && s.seed != null) body.seed = Number(s.seed) + (c.again || 0);
  if (s.overflow) body.overflow = s.overflow;
  return body;
}

// Calls on(kind, value) for every event ("data") and comment of the stream.
async function readStream(body, on) {
  const reader = body.getReader(), decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    rest += decoder.decode(value || new Uint8Array(), { stream: !done });
    let end;
    while ((end = rest.indexOf("\n\n")) >= 0) {
      const line = rest.slice(0, end);
      rest = rest.slice(end + 2);
      if (line.startsWith("data: ")) on("data", line.slice(6));
      else if (line.startsWith(":")) on("comment", line.slice(1).trim());
    }
    if (done) return;
  }
}

function take(chunk, m, run) {
  if (chunk.error) throw new Error(chunk.error.message);
  if (chunk.seed != null) m.seed = chunk.seed;
  for (const choice of chunk.choices) {
    const text = choice.delta && choice.delta.content;
    if (text) {
      if (!run.first) run.first = performance.now();
      m.content += text;
      run.n++;
    }
    if (choice.finish_reason) m.finish = choice.finish_reason;
  }
  if (chunk.usage) {
    m.tokens = chunk.usage.completion_tokens;
    m.prompt = chunk.usage.prompt_tokens;
    m.cached = chunk.usage.prompt_tokens_details && chunk.usage.prompt_tokens_details.cached_tokens;
    m.dropped = chunk.usage.dropped_tokens || 0;
  }
}

async function answer() {
  const c = state.now;
  if (state.running || !c.messages.length) return;
  const m = { role: "assistant", content: "" }, abort = new AbortController();
  const run = { message: m, abort, begun: performance.now(), first: 0, n: 0, finished: false };
  state.running = run;
  c.messages.push(m);
  keep(c);
  draw();
  $("send").hidden = true;
  $("stop").hidden = false;
  say("Waiting …");
  const main = $("main"), node = () => $("log").lastElementChild.querySelector(".body");
  let drawn = true;
  const redraw = () => {
    drawn = true;
    if (state.now !== c || state.running !== run) return;
    const below = main.scrollHeight - main.scrollTop - main.clientHeight < 80;
    node().replaceChildren(...blocks(m.content));
    if (below) main.scrollTop = main.scrollHeight;
    if (run.first && run.n > 1) say(`Writing: ${run.n} pieces, ${(1000 * run.n / (performance.now() - run.first)).toFixed(1)} a second`);
  };
  main.scrollTop = main.scrollHeight;
  try {
    const r = await fetch("v1/chat/completions", { method: "POST", headers: headers(), body: JSON.stringify(requestBody()), signal: abort.signal });
    if (!r.ok) {
      let text = `The server answered ${r.status}.`;
      try { text = (await r.json()).error.message; } catch { /* no JSON */ }
      throw new Error(r.status === 401 ? "The server asks for an API key: it belongs into the settings." : text);
    }
    await readStream(r.body, (kind, value) => {
      if (kind === "comment") { const p = /reading (\d+)\/(\d+)/.exec(value); if (p && Number(p[2])) say(`Reading the prompt: ${p[1]} of ${p[2]} tokens`); return; }
      if (value === "[DONE]") { run.finished = true; return; }
      take(JSON.parse(value), m, run);
      if (drawn) { drawn = false; requestAnimationFrame(redraw); }
    });
    if (!run.finished) throw new Error("The connection ended before the answer did.");
  } catch (e) {
    if (abort.signal.aborted) m.finish = "stopped";
    else { m.error = e instanceof TypeError ? "The server could not be reached." : e.message; look(); }
  }
  finishRun(c, m, run);
}

function finishRun(c, m, run) {
  const now = performance.now();
  if (run.first) {
    m.first = (run.first - run.begun) / 1000;
    if (run.n > 1) m.rate = 1000 * (m.tokens || run.n) / (now - run.first);
  }
  const at = c.messages.indexOf(m), asked = c.messages[at - 1];
  if (asked && m.prompt && !m.dropped) {
    const before = c.messages.slice(0, at - 1).reduce((n, x) => n + (x.tokens || 0), 0);
    asked.tokens = Math.max(1, m.prompt - before);
  }
  if (!m.content && !m.error && m.finish === "stopped") c.messages.splice(at, 1);
  state.running = null;
  keep(c);
  $("send").hidden = false;
  $("stop").hidden = true;
  say(m.error ? "" : m.finish === "stopped" ? "Stopped." : "The answer is complete.");
  if (state.now === c) draw();
  else drawList();
  $("main").scrollTop = $("main").scrollHeight;
}

function again() {
  const c = state.now;
  if (state.running) return;
  if (c.messages.length && c.messages[c.messages.length - 1].role === "assistant") c.messages.pop();
  c.again = (c.again || 0) + 1;
  answer();
}

function send() {
  const text = $("input").value, c = state.now;
  if (state.running || !text.trim()) return;
  if (state.away) { look(); return; }
  c.messages.push({ role: "user", content: text });
  c.again = 0;
  $("input").value = "";
  localStorage.removeItem("bise-draft");
  fitInput();
  answer();
}

// ---- files in and out ----

function save(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const a = make("a", { href: address, download: name });
  document.body.append(a);
  a.click();
  a.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

const asMarkdown = (c) => `# ${titleOf(c)}\n\n` + (c.system ? `## System\n\n${c.system}\n\n` : "") +
  c.messages.map((m) => `## ${m.role === "user" ? "You" : "Answer"}\n\n${m.content}\n`).join("\n");

function fromMarkdown(text) {
  const c = { id: newId(), system: "", messages: [], changed: Date.now(), title: (/^# (.+)$/m.exec(text) || [])[1] };
  for (const part of text.split(/^## (?=(?:System|You|Answer)\n)/m).slice(1)) {
    const [, who, content] = /^(\w+)\n\n?([\s\S]*?)\n*$/.exec(part);
    if (who === "System") c.system = content;
    else c.messages.push({ role: who === "You" ? "user" : "assistant", content });
  }
  return c.messages.length ? [c] : [];
}

function fromJson(text) {
  const data = JSON.parse(text);
  const all = Array.isArray(data) ? data : data.conversations || [data];
  return all.filter((c) => c && Array.isArray(c.messages)).map((c) => ({
    id: newId(), title: typeof c.title === "string" ? c.title : undefined, system: String(c.system || ""), changed: Number(c.changed) || Date.now(),
    messages: c.messages.filter((m) => m && (m.role === "user" || m.role === "assistant")).map((m) => ({ ...m, content: String(m.content || "") })),
  }));
}

async function importFile(file) {
  try {
    const text = await file.text();
    const found = /\.md$/i.test(file.name) ? fromMarkdown(text) : fromJson(text);
    if (!found.length) throw new Error("no conversation");
    for (const c of found) { state.all.unshift(c); if (base) base.transaction("conversations", "readwrite").objectStore("conversations").put(c); }
    show(found[0]);
    say(`${found.length} imported.`);
  } catch { say(`${file.name} holds no conversations.`); }
}

async function addFiles(files) {
  for (const file of files) {
    if (file.size > 1 << 20) { say(`${file.name} is longer than 1 MB.`); continue; }
    const text = await file.text();
    if (text.includes("\0")) { say(`${file.name} is no text.`); continue; }
    const fence = "`".repeat(Math.max(3, ...(text.match(/`+/g) || []).map((t) => t.length + 1)));
    $("input").value += `${$("input").value ? "\n" : ""}${file.name}:\n${fence}\n${text.replace(/\n$/, "")}\n${fence}\n`;
  }
  keepDraft();
  fitInput();
  $("input").focus();
}

// ---- settings, keys, and the start ----

function keepDraft() { localStorage.setItem("bise-draft", $("input").value); }

function fitInput() {
  const i = $("input");
  i.style.height = "auto";
  i.style.height = Math.min(i.scrollHeight + 2, innerHeight * 0.4) + "px";
}

function applySettings() {
  if (state.settings.theme) document.documentElement.dataset.theme = state.settings.theme;
  else delete document.documentElement.dataset.theme;
}

function readSettings() {
  try { state.settings = JSON.parse(localStorage.getItem("bise-settings")) || {}; } catch { state.settings = {}; }
  for (const key of SETTINGS) {
    const field = $("s-" + key);
    if (state.settings[key] != null) field.value = state.settings[key];
    field.addEventListener("change", () => {
      state.settings[key] = field.value;
      localStorage.setItem("bise-settings", JSON.stringify(state.settings));
      applySettings();
      if (key === "key") { state.props = null; look(); }
    });
  }
  applySettings();
}

function openSettings(open) {
  $("settings").hidden = !open;
  $("settings-open").setAttribute("aria-expanded", String(open));
  (open ? $("system") : $("settings-open")).focus();
}

function closeMenu() {
  document.body.classList.remove("menu");
  $("menu").setAttribute("aria-expanded", "false");
}

function onKey(k) {
  if (k.key === "Escape") {
    if (!$("settings").hidden) openSettings(false);
    else if (document.body.classList.contains("menu")) closeMenu();
    else if (state.running) state.running.abort.abort();
  } else if (k.altKey && !k.ctrlKey && !k.metaKey) {
    const act = { n: begin, s: () => openSettings($("settings").hidden), k: () => { document.body.classList.add("menu"); $("search").focus(); } }[k.key.toLowerCase()];
    if (!act) return;
    k.preventDefault();
    act();
    if (k.key.toLowerCase() === "n") $("input").focus();
  }
}

function listen() {
  $("form").addEventListener("submit", (e) => { e.preventDefault(); send(); });
  $("input").addEventListener("input", () => { keepDraft(); fitInput(); });
  $("input").addEventListener("keydown", (k) => {
    if (k.key === "Enter" && !k.shiftKey && !k.isComposing) { k.preventDefault(); send(); }
    if (k.key === "ArrowUp" && !$("input").value) {
      const i = state.now.messages.map((m) => m.role).lastIndexOf("user"), e = $("log").querySelectorAll("article")[i];
      if (i >= 0 && !state.running) { k.preventDefault(); edit(e, state.now.messages[i], i); }
    }
  });
  $("stop").addEventListener("click", () => state.running && state.running.abort.abort());
  $("new").addEventListener("click", () => { begin(); closeMenu(); $("input").focus(); });
  $("menu").addEventListener("click", () => {
    const open = document.body.classList.toggle("menu");
    $("menu").setAttribute("aria-expanded", String(open));
  });
  $("settings-open").addEventListener("click", () => openSettings($("settings").hidden));
  $("settings-close").addEventListener("click", () => openSettings(false));
  $("system").addEventListener("change", () => { state.now.system = $("system").value; keep(state.now); });
  $("search").addEventListener("input", drawList);
  $("delete").addEventListener("click", () => {
    if (!confirm("Delete this conversation?")) return;
    forget(state.now);
    state.now = null;
    openSettings(false);
    if (state.all.length) show(state.all[0]);
    else begin();
  });
  $("export").addEventListener("click", () => save("bise-conversations.json", "application/json", JSON.stringify({ conversations: state.all.filter((c) => c.messages.length) }, null, 1)));
  $("export-md").addEventListener("click", () => save("conversation.md", "text/markdown", asMarkdown(state.now)));
  $("import").addEventListener("click", () => $("import-file").click());
  $("import-file").addEventListener("change", () => { if ($("import-file").files[0]) importFile($("import-file").files[0]); $("import-file").value = ""; });
  document.addEventListener("keydown", onKey);
  document.addEventListener("dragover", (e) => { e.preventDefault(); document.body.classList.add("over"); });
  document.addEventListener("dragleave", () => document.body.classList.remove("over"));
  document.addEventListener("drop", (e) => { e.preventDefault(); document.body.classList.remove("over"); addFiles(e.dataTransfer.files); });
  addEventListener("beforeunload", (e) => { if (state.running) e.preventDefault(); });
}

readSettings();
listen();
await openBase();
$("input").value = localStorage.getItem("bise-draft") || "";
fitInput();
const before = state.all.find((c) => c.id === localStorage.getItem("bise-now"));
if (before) show(before);
else begin();
await look();
let ticks = 0;
setInterval(() => { if (state.away || (++ticks % 5 === 0 && document.visibilityState === "visible" && !state.running)) look(); }, 3000);
$("input").focus();
