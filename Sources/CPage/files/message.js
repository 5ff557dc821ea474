// One message whole: what it says, why it went where it went, and what the core sent on of it.

import { attempt, byID, el, get, getIfThere, notice, Refusal } from "./interface.js";
import { label } from "./ladder.js";

const panel = byID("detail");
let shown = 0;

export const isOpen = () => !panel.hidden;

export function closeMessage() {
  panel.hidden = true;
  shown = 0;
}

/** The message of a number, as the core has it; null: not any more. */
async function fetchMessage(sequence) {
  const { messages } = await get(`/api/messages?since=${sequence - 1}&limit=1`);
  return messages[0]?.sequence === sequence ? messages[0] : null;
}

/** Shows a message; `messages` are those that the page knows, and `choose` goes to another one. */
export async function showMessage(record, messages, choose) {
  shown = record.sequence;
  const isRequest = record.status === null;
  const [message, why] = await attempt(() => Promise.all([
    fetchMessage(record.sequence),
    isRequest ? getWhy(record.sequence) : null,
  ])) ?? [null, null];
  if (shown !== record.sequence) return;
  if (!message) {
    notice(`The core has forgotten message ${record.sequence}.`);
    return;
  }
  const counterpart = findCounterpart(record, messages);
  const other = counterpart ? await attempt(() => fetchMessage(counterpart.sequence)) : null;
  if (shown !== record.sequence) return;
  panel.replaceChildren(
    head(record, message),
    why ? whySentence(why) : "",
    other ? difference(record, message, counterpart, other, choose) : "",
    content(message),
    why ? whyDetails(why) : "",
    raw(message));
  panel.hidden = false;
  panel.scrollTop = 0;
}

async function getWhy(sequence) {
  try {
    return await getIfThere(`/api/messages/${sequence}/why`);
  } catch (error) {
    if (error instanceof Refusal && error.status === 409) return null;
    throw error;
  }
}

// MARK: Parts

function head(record, message) {
  const far = message.peer ?? record.lane.name;
  return el("header", { class: "detail-head" },
    el("div", {},
      el("h2", {}, label(record)),
      el("p", { class: "quiet" },
        `#${message.sequence} · ${record.isIncoming ? `${far} → core` : `core → ${far}`} · ${message.transport.toUpperCase()} ${message.remote}`),
      el("p", { class: "quiet" }, el("time", { datetime: message.time }, message.time.replace("T", " ").replace("Z", " UTC"))),
      record.isAgain || message.fault ? el("p", {},
        record.isAgain && el("span", { class: "tag" }, "↻ sent again"),
        message.fault && el("span", { class: "tag warn" }, `⚡ ${faultText(message.fault)}`)) : ""),
    el("div", { class: "group" },
      el("button", { title: "Copy the message as it stands", onclick: () => copy(message.raw ?? atob(message.raw_base64)) }, "Copy"),
      el("button", { "aria-label": "Close (Escape)", title: "Close (Esc)", class: "close", onclick: () => panel.dispatchEvent(new CustomEvent("closed", { bubbles: true })) }, "✕")));
}

const faultText = (fault) => (typeof fault === "string" ? fault : fault.action ? `fault: ${fault.action}` : `fault ${JSON.stringify(fault)}`);

async function copy(text) {
  await attempt(() => navigator.clipboard.writeText(text));
  notice("Copied.", false);
}

function content(message) {
  return el("section", {},
    el("p", { class: "start-line" }, message.start_line),
    el("table", { class: "headers" }, el("tbody", {}, message.headers.map(([name, value]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value))))),
    body(message));
}

function body(message) {
  const text = message.body ?? (message.body_base64 ? `${message.body_base64.length * 3 / 4 | 0} octets that are no text` : "");
  if (!text) return "";
  return el("pre", { class: "body", tabindex: "0", "aria-label": "Body" }, pretty(text, message));
}

function pretty(text, message) {
  const type = message.headers.find(([name]) => name === "Content-Type")?.[1] ?? "";
  if (/json/.test(type)) {
    try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
  }
  if (!/xml/.test(type) || text.includes("\n  ")) return text;
  let depth = 0;
  return text.replace(/>\s*</g, ">\n<").split("\n").map((line) => {
    if (/^<\//.test(line)) depth = Math.max(0, depth - 1);
    const indented = "  ".repeat(depth) + line;
    if (/^<[^!?/][^>]*[^/]>$/.test(line) || /^<[^!?/]>$/.test(line)) depth += 1;
    return indented;
  }).join("\n");
}

function raw(message) {
  return el("details", {}, el("summary", {}, "As it stands on the wire"), el("pre", {}, message.raw ?? message.raw_base64));
}

// MARK: Why

const whySentence = (why) => el("p", { class: "why" }, el("strong", {}, "Why "), why.sentence);

const verdicts = { matched: "✓", not_matched: "✗", not_reached: "–", skipped: "–", tried_before: "✓" };

function whyDetails(why) {
  const facts = [
    ["Believed because", why.believed_because],
    ["Served user", why.served_user && `${why.served_user}, ${why.session_case}, ${why.registered ? "registered" : "not registered"}`],
    ["Next hop", why.next_hop],
    ["Nearest miss", why.nearest_miss],
  ].filter(([, value]) => value);
  if (facts.length + why.criteria.length + why.contacts.length === 0) return "";
  return el("details", { open: true, class: "why-details" }, el("summary", {}, "How it was decided"),
    el("table", { class: "headers" }, el("tbody", {}, facts.map(([name, value]) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, value))))),
    why.criteria.map(criterion),
    why.contacts.length > 0 && el("table", {}, el("caption", {}, "Contacts"),
      el("thead", {}, el("tr", {}, ["Contact", "q", "Preference", ""].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, why.contacts.map((contact) =>
        el("tr", {}, [contact.uri, contact.q, contact.score, contact.verdict.replace("_", " ")].map((value) => el("td", {}, value)))))));
}

function criterion(criterion) {
  const joins = criterion.normal_form === "conjunctive" ? ["or", "and"] : ["and", "or"];
  return el("div", { class: `criterion ${criterion.verdict}` },
    el("h3", {}, `${verdicts[criterion.verdict] ?? ""} Criterion ${criterion.priority} → ${criterion.application_server} `,
      el("span", { class: "quiet" }, `${criterion.verdict.replace("_", " ")} · ${criterion.session_case}`)),
    criterion.groups.map((group, index) => el("div", { class: "conditions" },
      index > 0 && el("span", { class: "join" }, joins[1]),
      el("ul", {}, group.map((condition, place) => el("li", { class: condition.verdict ? "holds" : "fails" },
        place > 0 && `${joins[0]} `, condition.condition, el("span", { class: "quiet" }, condition.value === null ? " — it has none" : ` — it has ${condition.value}`)))))));
}

// MARK: The difference

/** What the core sent on of a message that came in, or what came in of one that it sent. */
function findCounterpart(record, messages) {
  const here = messages.find(record.sequence);
  const step = record.isIncoming ? 1 : -1;
  for (let index = here + step, looked = 0; index >= 0 && index < messages.all.length && looked < 5000; index += step, looked += 1) {
    const other = messages.all[index];
    if (other.isIncoming !== record.isIncoming && other.callID === record.callID && other.cseq === record.cseq
      && other.status === record.status && other.callID !== null) return other;
  }
  return null;
}

function difference(record, message, counterpart, other, choose) {
  const [before, after] = record.isIncoming ? [message, other] : [other, message];
  const lines = compare(before, after);
  const title = record.isIncoming ? "What the core sent on" : "What had come in";
  return el("details", { class: "difference" },
    el("summary", {}, `${title}: ${lines.length === 0 ? "nothing differs" : `${lines.length} ${lines.length === 1 ? "difference" : "differences"}`}`),
    el("p", {}, el("button", { class: "link", onclick: () => choose(counterpart.sequence) }, `Message ${counterpart.sequence}`),
      ` ${counterpart.isIncoming ? "from" : "to"} ${counterpart.lane.name}`),
    el("table", { class: "diff" }, el("tbody", {}, lines.map(([sign, name, value]) =>
      el("tr", { class: sign === "+" ? "added" : "removed" },
        el("td", { "aria-label": sign === "+" ? "new" : "gone" }, sign === "+" ? "+" : "−"), el("th", { scope: "row" }, name), el("td", {}, value))))));
}

/** Header by header: what is gone, and what is new. */
function compare(before, after) {
  const lines = [];
  if (before.start_line !== after.start_line) lines.push(["-", "", before.start_line], ["+", "", after.start_line]);
  const names = [...new Set([...before.headers, ...after.headers].map(([name]) => name))];
  for (const name of names) {
    const values = (message) => message.headers.filter(([found]) => found === name).map(([, value]) => value);
    const [old, fresh] = [values(before), values(after)];
    const rest = [...fresh];
    const gone = old.filter((value) => {
      const place = rest.indexOf(value);
      if (place >= 0) rest.splice(place, 1);
      return place < 0;
    });
    lines.push(...gone.map((value) => ["-", name, value]), ...rest.map((value) => ["+", name, value]));
  }
  if ((before.body ?? before.body_base64) !== (after.body ?? after.body_base64)) lines.push(["+", "", "the body differs"]);
  return lines;
}
