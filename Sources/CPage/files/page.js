// The page: views and keys, the core's clock, and the stream of messages.

import { askAbilities, attempt, byID, call, el, get, getIfThere, has, notice, onTokenWanted, openDialog, Refusal } from "./interface.js";
import { Ladder, matcher, Messages, plainWords } from "./ladder.js";
import { closeMessage, isOpen, showMessage } from "./message.js";
import { askWhetherToReset, Faults, Findings, Registrations, sendRequest, Subscribers } from "./panels.js";

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

// MARK: The token

onTokenWanted((wasWrong) => openDialog("This core asks for a token", [
  el("label", {}, "core.http_token of the topology", el("input", { name: "token", type: "password", required: true, autocomplete: "off", autofocus: true })),
  el("p", { class: "quiet" }, wasWrong ? "The last one was wrong." : "It is kept until this tab is closed."),
], { submitText: "Go on", submit: (form) => form.elements.token.value }));

// MARK: The clock

/** The core's clock: its time when it was last asked, and when that was. */
const clock = { isVirtual: false, base: Date.now(), asked: performance.now() };
const now = () => (clock.isVirtual ? clock.base : clock.base + performance.now() - clock.asked);

async function askClock() {
  const answer = await getIfThere("/api/clock");
  byID("clock").hidden = !answer;
  if (!answer) return;
  clock.isVirtual = answer.clock === "virtual";
  clock.base = Date.parse(answer.now);
  clock.asked = performance.now();
  byID("clock-moves").hidden = !clock.isVirtual;
  drawClock();
}

function drawClock() {
  byID("clock-now").textContent = `${new Date(now()).toISOString().replace("T", " ").slice(0, 19)}${clock.isVirtual ? "" : " UTC"}`;
}

const moveClock = (by) => attempt(async () => {
  byID("clock").classList.add("busy");
  try {
    await call("POST", "/api/clock/advance", { json: { by } });
    await askClock();
    await registrations.refresh();
  } finally {
    byID("clock").classList.remove("busy");
  }
});

// MARK: Parts

const messages = new Messages();
const choose = (sequence) => {
  show("messages");
  if (!ladder.chooseSequence(sequence)) notice(`Message ${sequence} is not recorded any more.`);
};
const ladder = new Ladder(messages, {
  open: (message, opens) => { if (opens || isOpen()) showMessage(message, messages, choose); },
});
const registrations = new Registrations(now);
const subscribers = new Subscribers();
const faults = new Faults();
const findings = new Findings(choose);
const views = { messages: null, registrations, subscribers, faults, findings };

// MARK: Views

let current = "messages";

function show(name) {
  current = name;
  for (const other of Object.keys(views)) {
    byID(other).hidden = other !== name;
    const tab = byID(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
  }
  history.replaceState(null, "", name === "messages" ? location.pathname : `#${name}`);
  if (views[name]) attempt(() => views[name].refresh());
  else ladder.update();
}

const tabs = () => [...byID("tabs").children].filter((tab) => !tab.hidden);

byID("tabs").addEventListener("click", (event) => {
  const tab = event.target.closest("[role=tab]");
  if (tab) show(tab.id.slice(4));
});
byID("tabs").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const all = tabs();
  const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
  show(next.id.slice(4));
  next.focus();
  event.preventDefault();
});

// MARK: Search

const search = byID("search");
let searching = new AbortController();
let typing = 0;

function find() {
  searching.abort();
  searching = new AbortController();
  ladder.filter(matcher(search.value));
  for (const chip of byID("chips").children) chip.setAttribute("aria-pressed", String(search.value.split(/\s+/).includes(chip.dataset.term)));
  const words = plainWords(search.value);
  if (words.length > 0) findInBodies(words, searching.signal).catch((error) => { if (error.name !== "AbortError") notice(error.message); });
}

/** The core looks for words in the whole messages; what it finds is shown too. */
async function findInBodies(words, signal) {
  await pause(200);
  if (signal.aborted) return;
  const found = new Map();
  for (const word of words) {
    const answer = await get(`/api/messages?brief=true&limit=5000&text=${encodeURIComponent(word)}`, { signal });
    found.set(word, new Set(answer.messages.map((message) => message.sequence)));
  }
  if (!signal.aborted) ladder.filter(matcher(search.value, found));
}

search.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(find, 80);
});
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "ArrowDown") {
    byID("rows").focus();
    event.preventDefault();
  } else if (event.key === "Escape") {
    if (search.value) {
      search.value = "";
      find();
    } else {
      byID("rows").focus();
    }
    event.stopPropagation();
    event.preventDefault();
  }
});
byID("chips").append(...[["Requests", "is:request"], ["Errors", "status:4xx"], ["Faults", "is:fault"], ["Sent again", "is:again"]].map(([name, term]) =>
  el("button", { "data-term": term, "aria-pressed": "false", onclick: () => {
    const words = search.value.split(/\s+/).filter(Boolean);
    search.value = (words.includes(term) ? words.filter((word) => word !== term) : [...words, term]).join(" ");
    find();
  } }, name)));

// MARK: Keys

function close() {
  const hadFocus = byID("detail").contains(document.activeElement);
  closeMessage();
  ladder.unchoose();
  ladder.update();
  if (hadFocus || document.activeElement === document.body) byID("rows").focus();
}
byID("detail").addEventListener("closed", close);

const help = () => openDialog("Keys", el("dl", { class: "keys" }, [
  ["/", "search"], ["↑ ↓  j k", "the message before, the next one"], ["Enter", "show the message"], ["Esc", "close it, or empty the search"],
  ["Home End", "the first message, the last one"], ["f", "follow what comes"], ["1 … 5", "the views"], ["?", "this"],
].map(([key, text]) => [el("dt", {}, key), el("dd", {}, text)])));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byID("dialog").open) return;
  if (event.target.closest("input, textarea, select")) return;
  const number = Number(event.key);
  if (event.key === "/") {
    show("messages");
    search.focus();
    search.select();
  } else if (event.key === "Escape") {
    if (isOpen()) close();
    else if (search.value) {
      search.value = "";
      find();
    }
  } else if (event.key === "f") {
    ladder.setFollow(!ladder.follow);
  } else if (event.key === "?") {
    help();
  } else if (number >= 1 && number <= tabs().length) {
    show(tabs()[number - 1].id.slice(4));
  } else {
    return;
  }
  event.preventDefault();
});

byID("help").addEventListener("click", help);
byID("reset").addEventListener("click", async () => { if (await askWhetherToReset()) forget(); });
byID("send").addEventListener("click", () => sendRequest(() => {}));
byID("clock-moves").addEventListener("click", (event) => { if (event.target.dataset.by) moveClock(event.target.dataset.by); });
byID("clock-custom").addEventListener("submit", (event) => {
  event.preventDefault();
  const by = byID("clock-by").value.trim();
  if (by) moveClock(by);
});
byID("pcapng").addEventListener("click", () => attempt(async () => {
  const answer = await call("GET", "/api/trace.pcapng", { raw: true });
  const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: "sipcore.pcapng" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}));

// MARK: Messages as they come

function setLive(isLive, text) {
  byID("live").className = isLive ? "live on" : "live";
  byID("live").textContent = text;
}

function forget() {
  messages.clear();
  closeMessage();
  ladder.unchoose();
  ladder.trimmed();
}

/** Takes what there is after the last message, page by page. */
async function catchUp() {
  for (;;) {
    const answer = await get(`/api/messages?brief=true&limit=2000&since=${messages.last}`);
    if (answer.messages.length === 0) return;
    ladder.added(messages.add(answer.messages));
    await pause(0);
  }
}

/** Whether the core has begun anew since, and which messages it still has. */
async function askWhatIsKept() {
  const { messages: [oldest] } = await get("/api/messages?brief=true&limit=1");
  const first = messages.all[0];
  if (!first) return;
  const place = oldest ? messages.find(oldest.sequence) : -1;
  const isOther = !oldest || oldest.sequence < first.sequence || (place >= 0 && messages.all[place].time !== oldest.time);
  if (isOther) forget();
  else if (messages.trim(oldest.sequence) > 0) ladder.trimmed();
}

/** Reads server-sent events until the stream ends. */
async function readStream() {
  const answer = await call("GET", `/api/messages/stream?since=${messages.last}`, { raw: true });
  setLive(true, "live");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split(/\r?\n\r?\n/);
    rest = events.pop();
    const arrived = [];
    for (const event of events) {
      if (/^event: ?reset$/m.test(event)) forget();
      const data = event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n");
      if (data) arrived.push(JSON.parse(data));
    }
    const found = arrived.filter((message) => message.sequence !== undefined);
    if (found.length === 0) continue;
    // What a slow reader was spared, and what came before, is fetched in short.
    if (found[0].sequence === messages.last + 1) ladder.added(messages.add(found));
    else if (found[0].sequence <= messages.last) forget();
    if (found.at(-1).sequence > messages.last) await catchUp();
  }
}

async function readPages() {
  for (;;) {
    const answer = await get(`/api/messages?brief=true&limit=2000&since=${messages.last}&wait=20s`);
    setLive(true, "live");
    ladder.added(messages.add(answer.messages));
  }
}

async function listen() {
  for (;;) {
    try {
      await catchUp();
      setLive(true, "live");
      if (has("/api/messages/stream")) await readStream();
      else await readPages();
    } catch (error) {
      setLive(false, error instanceof Refusal ? error.message : "the core does not answer");
    }
    await pause(1000);
  }
}

/** What is asked again and again: the view that is open, and what has a number in the bar. */
async function watch() {
  for (let turn = 0; ; turn += 1) {
    try {
      if (!document.hidden) {
        await askWhatIsKept();
        await registrations.refresh();
        await faults.refresh();
        if (current === "subscribers" || turn % 15 === 0) await subscribers.refresh();
        if (current === "findings" || turn % 3 === 0) await findings.refresh();
        if (turn % 5 === 0 || clock.isVirtual) await askClock();
      }
    } catch {
      // `listen` says that the core does not answer.
    }
    await pause(2000);
  }
}

/** What this core can do is asked first, and again until it answers. */
async function begin() {
  for (;;) {
    try {
      await askAbilities();
      break;
    } catch (error) {
      setLive(false, error instanceof Refusal ? error.message : "the core does not answer");
      await pause(1000);
    }
  }
  byID("send").hidden = !has("/api/send");
  byID("reset").hidden = !has("/api/reset");
  byID("pcapng").hidden = !has("/api/trace.pcapng");
  listen();
  watch();
}

setLive(false, "connecting");
if (location.hash.slice(1) in views) show(location.hash.slice(1));
setInterval(() => {
  if (!byID("clock").hidden) drawClock();
  if (current === "registrations") registrations.tick();
}, 250);
begin();
