// What the help site does beyond being read: searching, copying, trying. Without it every page is still whole.
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// ---- examples speak of the house they are read at ----

const OWN = "https://localhost:3333";
for (const code of $$("pre code.sh, pre code.js"))
  if (code.textContent.includes(OWN)) code.textContent = code.textContent.replaceAll(OWN, location.origin);

for (const figure of $$("figure.code")) {
  if (!navigator.clipboard) break;
  const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
  button.setAttribute("aria-label", `Copy: ${$("figcaption", figure).textContent}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText($("pre", figure).textContent);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  $("figcaption", figure).append(button);
}

// ---- searching ----

const form = $(".search"), box = $(".search input"), list = $("#found");
const address = document.currentScript.dataset.index;
let entries = null, found = [], chosen = -1;

// How well an entry fits: every word must be somewhere in it; the title counts most, and its beginning.
function score(entry, words) {
  const title = entry.t.toLowerCase(), rest = `${entry.d} ${entry.w}`.toLowerCase();
  const begins = (text, word) => text.split(/[^a-z0-9]+/).some((part) => part.startsWith(word));
  let sum = 0;
  for (const word of words) {
    let points = 0;
    if (title === word) points += 20;
    else if (begins(title, word)) points += 8;
    else if (title.includes(word)) points += 5;
    if (begins(rest, word)) points += 3;
    else if (rest.includes(word)) points += 1;
    if (points === 0) return 0;
    sum += points;
  }
  return sum - (entry.k.startsWith("Error") ? 2 : 0); // the word itself, rather than the errors that have it in them
}

async function search() {
  entries ??= await (await fetch(address)).json();
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  found = words.length === 0 ? [] : entries
    .map((entry) => [score(entry, words), entry])
    .filter(([points]) => points > 0)
    .sort((a, b) => b[0] - a[0])
    .slice(0, 12)
    .map(([, entry]) => entry);
  list.replaceChildren(...found.map((entry, i) => {
    const item = make("li", { id: `found-${i}` }, entry.t, make("small", { textContent: `${entry.k} · ${entry.d}` }));
    item.setAttribute("role", "option");
    item.addEventListener("mousedown", () => (location.href = entry.u));
    return item;
  }));
  choose(found.length > 0 ? 0 : -1);
}

function choose(index) {
  chosen = index;
  [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === chosen)));
  list.children[chosen]?.scrollIntoView({ block: "nearest" });
  if (chosen >= 0) box.setAttribute("aria-activedescendant", `found-${chosen}`);
  else box.removeAttribute("aria-activedescendant");
  list.hidden = found.length === 0;
  box.setAttribute("aria-expanded", String(found.length > 0));
}

function close() {
  found = [];
  choose(-1);
}

form.hidden = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (found[chosen]) location.href = found[chosen].u;
});
box.addEventListener("input", search);
box.addEventListener("focus", search);
box.addEventListener("blur", close);
box.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") close();
  if (!step || found.length === 0) return;
  event.preventDefault();
  choose((chosen + step + found.length) % found.length);
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea")) return;
  event.preventDefault();
  box.focus();
});

// ---- trying ----

function requestOf(trial) {
  const fields = $$("input[name]", trial).filter((input) => input.value !== "");
  const query = new URLSearchParams();
  let path = trial.dataset.path;
  for (const { name, value } of fields) {
    if (path.includes(`{${name}}`)) path = path.replace(`{${name}}`, encodeURIComponent(value));
    else query.set(name, value);
  }
  const body = $("textarea", trial)?.value;
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const where = String(query) ? `${path}?${query}` : path;
  return [where, { method: trial.dataset.verb, headers, body, credentials: "omit" }];
}

function show(place, title, text) {
  const pre = make("pre", { tabIndex: 0, textContent: text });
  pre.setAttribute("aria-label", title);
  place.replaceChildren(make("figure", { className: "code" }, make("figcaption", { textContent: title }), pre));
  return pre;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const STREAM_TEXT_MAX = 20000;

async function follow(response, pre, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    pre.textContent = (pre.textContent + value).slice(-STREAM_TEXT_MAX);
    pre.scrollTop = pre.scrollHeight;
  }
}

async function run(trial, place, signal) {
  const [where, options] = requestOf(trial);
  const begin = performance.now();
  const response = await fetch(where, { ...options, signal });
  const title = `${response.status} ${response.statusText} · ${Math.round(performance.now() - begin)} ms · ${where}`;
  if (trial.dataset.stream && response.ok) await follow(response, show(place, title, ""), signal);
  else show(place, title, pretty(await response.text()));
}

for (const section of $$(".try")) {
  const trial = $("form", section), stop = $(".stop", section), place = $(".answer", section);
  let running = null;
  section.hidden = false;
  stop.addEventListener("click", () => running?.abort());
  trial.addEventListener("submit", async (event) => {
    event.preventDefault();
    running?.abort();
    running = new AbortController();
    stop.hidden = !trial.dataset.stream;
    try {
      await run(trial, place, running.signal);
    } catch (error) {
      if (error.name !== "AbortError") show(place, "No answer", String(error.message));
    }
    stop.hidden = true;
  });
}
