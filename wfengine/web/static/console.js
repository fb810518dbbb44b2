// What pages do besides being pages: they follow the store, and can be used without a mouse.
// Everything else works without this file.

const root = document.documentElement;
const body = document.body;
root.classList.add("scripted");

const policy = window.trustedTypes
  ? window.trustedTypes.createPolicy("fragments", { createHTML: (text) => text })
  : { createHTML: (text) => text };

// --- Times

function ago(then, now) {
  const seconds = (now - then) / 1000;
  if (Math.abs(seconds) < 2) return "now";
  const steps = [[60, 1, "s"], [3600, 60, "min"], [172800, 3600, "h"], [Infinity, 86400, "days"]];
  const [, unit, name] = steps.find(([most]) => Math.abs(seconds) < most);
  const said = `${Math.floor(Math.abs(seconds) / unit)} ${name}`;
  return seconds > 0 ? `${said} ago` : `in ${said}`;
}

function renewTimes() {
  for (const each of document.querySelectorAll("time[datetime]")) {
    const said = ago(new Date(each.dateTime), new Date());
    if (each.textContent !== said) each.textContent = said;
  }
}
setInterval(renewTimes, 10000);

// --- Parts of the page that change with the store: each has an id and the attribute data-live

const PAUSE = 1500; // milliseconds between two looks, however much happens
let isLooking = false;
let isDue = false;
let looked = 0;
let timer = null;

// Times are the same in both, as they are told from when something was.
const told = (part) => part.innerHTML.replace(/(<time[^>]*>)[^<]*/g, "$1");

function stateOf(part) {
  const chosen = [...part.querySelectorAll("input[type=checkbox]:checked")];
  const open = [...part.querySelectorAll("details[open][id]")];
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const lists = [part, ...part.querySelectorAll(".scrolls, .steps")];
  return {
    chosen: new Set(chosen.map((each) => `${each.name}=${each.value}`)),
    open: open.map((each) => each.id),
    active: active && (active.id ? `#${CSS.escape(active.id)}` : active.getAttribute("href") && `a[href="${CSS.escape(active.getAttribute("href"))}"]`),
    current: part.querySelector(".is-current [data-item]")?.getAttribute("href"),
    scrolled: lists.map((each) => each.scrollTop),
  };
}

function restore(part, state) {
  for (const each of part.querySelectorAll("input[type=checkbox]")) {
    if (state.chosen.has(`${each.name}=${each.value}`)) each.checked = true;
  }
  for (const id of state.open) part.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  [part, ...part.querySelectorAll(".scrolls, .steps")].forEach((each, index) => {
    each.scrollTop = state.scrolled[index] || 0;
  });
  if (state.current) {
    const item = [...part.querySelectorAll("[data-item]")].find((each) => each.getAttribute("href") === state.current);
    item?.closest("li, tr")?.classList.add("is-current");
  }
  if (state.active) part.querySelector(state.active)?.focus({ preventScroll: true });
}

function swap(part, fresh) {
  if (told(part) === told(fresh)) return;
  const state = stateOf(part);
  part.replaceChildren(...fresh.childNodes);
  restore(part, state);
}

async function look() {
  if (isLooking || document.hidden) {
    isDue = true;
    return;
  }
  const wait = looked + PAUSE - Date.now();
  if (wait > 0) {
    timer = timer || setTimeout(() => { timer = null; look(); }, wait);
    return;
  }
  isLooking = true;
  isDue = false;
  looked = Date.now();
  try {
    await renewParts();
  } catch {
    // The connection that carries the news says when the console is back.
  } finally {
    isLooking = false;
    if (isDue) look();
  }
}

async function renewParts() {
  if (!body.dataset.follow) return;
  const answer = await fetch(body.dataset.follow, { headers: { Live: body.dataset.seen || "0" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) return;
  const text = policy.createHTML(await answer.text());
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh) swap(part, fresh);
  }
  renew();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && isDue) { isDue = false; look(); } });

// --- The news

const banner = document.getElementById("away");

function away(text) {
  if (!banner) return;
  banner.textContent = text;
  banner.hidden = !text;
}

function concerns(news) {
  return !news.runs || !body.dataset.run || body.dataset.page !== "run" || news.runs.includes(body.dataset.run);
}

if (document.querySelector("[data-live]") || banner) {
  const news = new EventSource("/live");
  let isKnown = false;
  let lostAt = null;
  news.addEventListener("hello", (event) => {
    lostAt = null;
    away("");
    if (isKnown || String(JSON.parse(event.data).version) !== body.dataset.version) look();
    isKnown = true;
    root.dataset.watching = "yes";
  });
  news.addEventListener("changed", (event) => {
    if (concerns(JSON.parse(event.data))) look();
  });
  news.addEventListener("away", (event) => {
    const found = JSON.parse(event.data);
    away(`The store does not answer since ${new Date(found.since).toLocaleTimeString()}. What is shown is from before. ${found.problem}`);
  });
  news.addEventListener("back", () => {
    away("");
    look();
  });
  news.addEventListener("error", () => {
    lostAt = lostAt || new Date();
    away(`The console does not answer since ${lostAt.toLocaleTimeString()}. What is shown is from before.`);
    delete root.dataset.watching;
  });
  addEventListener("pagehide", () => news.close());
}

// --- Choosing many

function renew() {
  for (const each of document.querySelectorAll("[data-counts]")) {
    const boxes = [...document.querySelectorAll(`input[type=checkbox][name="${each.dataset.counts}"]`)];
    const count = boxes.filter((box) => box.checked).length;
    each.textContent = count ? `${count} chosen` : "none chosen";
    for (const all of document.querySelectorAll(`[data-checks="${each.dataset.counts}"]`)) {
      all.checked = count > 0 && count === boxes.length;
      all.indeterminate = count > 0 && count < boxes.length;
    }
  }
  const isDecided = document.querySelector("[data-decided]") !== null;
  for (const each of document.querySelectorAll(".decide button")) each.disabled = isDecided;
}

document.addEventListener("change", (event) => {
  const target = event.target;
  if (target.dataset.checks) {
    for (const box of document.querySelectorAll(`input[type=checkbox][name="${target.dataset.checks}"]`)) box.checked = target.checked;
  }
  if (target.dataset.submits !== undefined) target.form.requestSubmit();
  renew();
});
renew();

// --- Clicks in a drawing

document.addEventListener("click", (event) => {
  const node = event.target.closest("g.node[id]");
  const drawing = node?.closest("[data-nodes]");
  if (drawing) location.assign(drawing.dataset.nodes + encodeURIComponent(node.id));
});

// --- Keys

const GO = { r: "/runs", p: "/pen", d: "/definitions", a: "/audit" };
let isGoing = false;

function move(by) {
  const items = [...document.querySelectorAll("[data-item]")];
  if (!items.length) return;
  const now = items.findIndex((each) => each.closest("li, tr")?.matches(".is-current"));
  const start = now >= 0 ? now : items.findIndex((each) => each.closest("[aria-current=true]"));
  const next = items[Math.min(Math.max(start + by, 0), items.length - 1)];
  for (const each of document.querySelectorAll(".is-current")) each.classList.remove("is-current");
  next.closest("li, tr")?.classList.add("is-current");
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function choose() {
  const box = document.querySelector(".is-current input[type=checkbox]") || document.querySelector(".tokens [aria-current=true] input[type=checkbox]");
  if (!box) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && isTyping) return isTyping.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (isGoing) {
    isGoing = false;
    if (GO[event.key]) location.assign(GO[event.key]);
    return undefined;
  }
  if (event.key === "g") isGoing = true;
  else if (event.key === "?") location.assign("/help");
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "x") choose();
  else {
    const target = [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === event.key && !each.disabled);
    if (!target) return undefined;
    if (target.matches("input")) target.focus();
    else target.click();
  }
  event.preventDefault();
  return undefined;
});
