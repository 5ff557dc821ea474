// The messages that the page knows, and the ladder that shows them. Of 100,000 messages only the rows in view are in the
// document; of each the page keeps what a row says, and asks the core for the rest when somebody wants it.

import { byID, el } from "./interface.js";

const rowHeight = 30;
const overscan = 8;
/** Lanes for clients and for servers; those beyond share one. */
const clientLanes = 6;
const serverLanes = 4;
const others = "others";

// MARK: Records

/** What a row says of a message: from `brief=true`, or from a whole one. */
function record(message) {
  const header = (name) => message.headers?.find(([found]) => found === name)?.[1];
  const uri = (value) => value?.match(/<([^>]*)>/)?.[1] ?? value?.split(";")[0].replace(/^.*\s/, "") ?? null;
  const isBrief = message.headers === undefined;
  return {
    sequence: message.sequence,
    time: message.time,
    isIncoming: message.direction === "in",
    transport: message.transport,
    peer: message.peer,
    remote: message.remote,
    startLine: message.start_line,
    method: message.method,
    status: message.status ?? null,
    callID: message.call_id,
    from: isBrief ? message.from : uri(header("From")),
    to: isBrief ? message.to : uri(header("To")),
    cseq: isBrief ? message.cseq : header("CSeq"),
    branch: isBrief ? message.branch : header("Via")?.match(/;\s*branch=([^;,\s]*)/i)?.[1],
    snippet: isBrief ? message.snippet : (header("Content-Type") ?? "").startsWith("text/") ? (message.body ?? "").slice(0, 80) : null,
    fault: message.fault ?? null,
    isAgain: false,
    lane: null,
  };
}

/** The messages in order, and who is at their other ends. */
export class Messages {
  constructor() { this.clear(); }

  clear() {
    this.all = [];
    this.bySequence = new Map();
    this.seen = new Map();
    this.names = new Map();
    this.clients = [];
    this.servers = [];
    this.last = 0;
  }

  add(messages) {
    const added = [];
    for (const message of messages) {
      if (message.sequence <= this.last) continue;
      const found = record(message);
      this.last = found.sequence;
      found.isAgain = this.wasSeen(found);
      found.lane = this.lane(found);
      this.all.push(found);
      added.push(found);
    }
    return added;
  }

  /** Forgets those that the core has forgotten. */
  trim(oldest) {
    let count = 0;
    while (count < this.all.length && this.all[count].sequence < oldest) count += 1;
    if (count > 0) this.all.splice(0, count);
    return count;
  }

  find(sequence) {
    let [low, high] = [0, this.all.length - 1];
    while (low <= high) {
      const middle = (low + high) >> 1;
      if (this.all[middle].sequence === sequence) return middle;
      if (this.all[middle].sequence < sequence) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** A message that went over this way before in the same transaction was sent again. */
  wasSeen(message) {
    if (!message.branch) return false;
    const key = `${message.isIncoming}|${message.transport}|${message.remote}|${message.branch}|${message.cseq}|${message.startLine}`;
    const isAgain = this.seen.has(key);
    this.seen.set(key, message.sequence);
    if (this.seen.size > 8192) {
      for (const old of this.seen.keys()) {
        this.seen.delete(old);
        if (this.seen.size <= 4096) break;
      }
    }
    return isAgain;
  }

  /** A lane is the name that the topology has for the node; else the user who registers from there, else the address. */
  lane(message) {
    const user = (uri) => uri?.match(/^(?:sips?:([^@]+)@|tel:([^;]+))/)?.slice(1).find(Boolean);
    const isRequest = message.isIncoming && message.status === null;
    if (message.peer !== null) {
      // A client that the topology names is called as its user, and registers; a server does not.
      const isClient = this.clients.some((lane) => lane.name === message.peer)
        || (isRequest && (message.method === "REGISTER" || user(message.from) === message.peer) && !this.servers.some((lane) => lane.name === message.peer));
      return isClient ? this.place(message.peer, this.clients, clientLanes) : this.place(message.peer, this.servers, serverLanes);
    }
    let name = this.names.get(message.remote);
    if (name === undefined || name === message.remote) {
      const owner = message.method === "REGISTER" ? user(message.to) : isRequest ? user(message.from) : null;
      const better = owner ?? message.remote;
      if (name !== undefined && better !== name) this.rename(name, better);
      name = better;
      this.names.set(message.remote, name);
      if (this.names.size > 4096) this.names.clear();
    }
    return this.place(name, this.clients, clientLanes);
  }

  place(name, lanes, limit) {
    const found = lanes.find((lane) => lane.name === name);
    if (found) return found;
    if (lanes.length < limit) lanes.push({ name });
    else if (lanes.length === limit) lanes.push({ name: others });
    return lanes[lanes.length - 1].name === others && lanes.length > limit ? lanes[limit] : lanes[lanes.length - 1];
  }

  rename(old, name) {
    if (this.clients.some((lane) => lane.name === name)) return;
    const lane = this.clients.find((lane) => lane.name === old);
    if (lane) lane.name = name;
  }
}

// MARK: Search

/** What the words of the search box ask for, as a test of a record. `found` has what the core found in whole messages, by word. */
export function matcher(text, found) {
  const terms = text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const [, name, value] = word.match(/^(method|status|call|call-id|peer|from|to|is):(.+)$/i) ?? [];
    if (!name) {
      const wanted = word.toLowerCase();
      return (m) => words(m).includes(wanted) || found?.get(word)?.has(m.sequence);
    }
    const wanted = value.toLowerCase();
    switch (name.toLowerCase()) {
    case "method": return (m) => (m.method ?? "").toLowerCase() === wanted;
    case "status": return (m) => m.status !== null && new RegExp(`^${wanted.replace(/[^0-9x]/g, "").replaceAll("x", ".")}`).test(String(m.status));
    case "call": case "call-id": return (m) => (m.callID ?? "").toLowerCase().includes(wanted);
    case "peer": return (m) => m.lane.name.toLowerCase() === wanted || m.remote.includes(wanted);
    case "from": return (m) => (m.from ?? "").toLowerCase().includes(wanted);
    case "to": return (m) => (m.to ?? "").toLowerCase().includes(wanted);
    default: return (m) => wanted === "again" ? m.isAgain : wanted === "fault" ? m.fault !== null : wanted === "request" ? m.status === null : m.status !== null;
    }
  });
  return terms.length === 0 ? null : (message) => terms.every((test) => test(message));
}

/** The words that have no name: what the core looks for in whole messages. */
export const plainWords = (text) => text.trim().split(/\s+/).filter((word) => word && !/^(method|status|call|call-id|peer|from|to|is):/i.test(word));

const words = (m) => `${m.startLine} ${m.from ?? ""} ${m.to ?? ""} ${m.callID ?? ""} ${m.lane.name} ${m.remote} ${m.snippet ?? ""}`.toLowerCase();

// MARK: The ladder

const statusClass = (status) => (status === null ? "request" : `s${Math.floor(status / 100)}`);

/** What an arrow is called: the method, or the status and its reason. */
export const label = (m) => (m.status === null ? m.method ?? m.startLine : m.startLine.replace(/^SIP\/2\.0 /, ""));

function description(m) {
  if (m.status !== null) return `to ${m.method ?? "?"}`;
  const target = m.method === "REGISTER" ? m.to : m.startLine.split(" ")[1];
  return `${target ?? ""}${m.snippet ? ` “${m.snippet.replace(/\s+/g, " ").trim()}”` : ""}`;
}

/** A steady colour for what belongs together. */
function hue(text) {
  let hash = 0;
  for (let i = 0; i < (text ?? "").length; i += 1) hash = (hash * 31 + text.charCodeAt(i)) | 0;
  return Math.abs(hash) % 360;
}

export class Ladder {
  constructor(messages, { open }) {
    this.messages = messages;
    this.open = open;
    this.test = null;
    this.view = null;
    this.selected = 0;
    this.follow = true;
    this.pool = [];
    this.rows = byID("rows");
    this.space = byID("space");
    this.lines = [];
    this.isDue = false;
    this.laneKey = "";
    this.rows.addEventListener("scroll", () => {
      const atEnd = this.rows.scrollTop + this.rows.clientHeight >= this.space.offsetHeight - rowHeight;
      if (!atEnd && this.follow && this.isScrolledByHand) this.setFollow(false);
      this.isScrolledByHand = true;
      this.draw();
    }, { passive: true });
    this.isScrolledByHand = true;
    new ResizeObserver(() => this.draw(true)).observe(this.rows);
    this.rows.addEventListener("keydown", (event) => this.key(event));
    byID("follow").addEventListener("change", (event) => this.setFollow(event.target.checked));
  }

  get count() { return this.view?.length ?? this.messages.all.length; }
  at(index) { return this.view ? this.view[index] : this.messages.all[index]; }

  setFollow(isOn) {
    this.follow = isOn;
    byID("follow").checked = isOn;
    if (isOn) this.update();
  }

  /** Shows those that pass a test; all without one. */
  filter(test) {
    this.test = test;
    this.view = test ? this.messages.all.filter(test) : null;
    this.update();
    const index = this.indexOf(this.selected);
    if (index >= 0) this.reveal(index);
  }

  added(messages) {
    if (this.view) for (const message of messages) if (this.test(message)) this.view.push(message);
    this.update();
  }

  /** The first ones are gone, or all are. */
  trimmed() {
    if (this.test) this.view = this.messages.all.filter(this.test);
    this.update();
  }

  update() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.space.style.height = `${this.count * rowHeight}px`;
      byID("empty").hidden = this.count > 0;
      byID("empty").textContent = this.messages.all.length > 0 ? "No message is like that." : "No message yet. Point a SIP client at the core, or run a scenario.";
      byID("shown").textContent = this.view ? `${this.count.toLocaleString("en")} of ${this.messages.all.length.toLocaleString("en")}` : "";
      byID("count-messages").textContent = this.messages.all.length > 0 ? this.messages.all.length.toLocaleString("en") : "";
      if (this.follow) {
        this.isScrolledByHand = false;
        this.rows.scrollTop = this.rows.scrollHeight;
      }
      this.draw(true);
    });
  }

  // MARK: Lanes

  layout() {
    const lanes = [...this.messages.clients, { name: "core", isCore: true }, ...this.messages.servers];
    const area = this.laneArea();
    const key = `${lanes.map((lane) => lane.name).join("|")}@${area.width}`;
    const step = area.width / lanes.length;
    lanes.forEach((lane, index) => { lane.x = area.left + step * (index + 0.5); });
    this.core = lanes.find((lane) => lane.isCore);
    if (key === this.laneKey) return;
    this.laneKey = key;
    byID("lanes").replaceChildren(...lanes.map((lane) => {
      const head = el("span", { class: lane.isCore ? "lane core" : "lane", title: lane.name }, lane.name);
      head.style.left = `${lane.x - step / 2}px`;
      head.style.width = `${step}px`;
      return head;
    }));
    for (const line of this.lines) line.remove();
    this.lines = lanes.map((lane) => {
      const line = el("i", { class: lane.isCore ? "line core" : "line", "aria-hidden": "true" });
      line.style.left = `${lane.x}px`;
      this.space.append(line);
      return line;
    });
  }

  laneArea() {
    const width = this.rows.clientWidth;
    const left = width > 620 ? 118 : 8;
    const text = width > 900 ? Math.min(360, width * 0.28) : 0;
    return { left, width: Math.max(160, width - left - text), textWidth: text };
  }

  // MARK: Rows

  draw(isWhole = false) {
    this.layout();
    const first = Math.max(0, Math.floor(this.rows.scrollTop / rowHeight) - overscan);
    const last = Math.min(this.count, Math.ceil((this.rows.scrollTop + this.rows.clientHeight) / rowHeight) + overscan);
    const area = this.laneArea();
    let used = 0;
    for (let index = first; index < last; index += 1, used += 1) {
      if (used === this.pool.length) this.pool.push(this.makeRow());
      this.fill(this.pool[used], index, area, isWhole);
    }
    for (const row of this.pool.splice(used)) row.element.remove();
    const active = this.pool.find((row) => row.message?.sequence === this.selected);
    if (active) this.rows.setAttribute("aria-activedescendant", active.element.id);
    else this.rows.removeAttribute("aria-activedescendant");
  }

  makeRow() {
    const row = {
      time: el("span", { class: "time" }), chip: el("b"), text: el("span", { class: "text" }), arrow: el("span", { class: "arrow" }),
      mark: el("i", { class: "mark" }), index: -1, message: null,
    };
    row.arrow.append(row.chip);
    row.element = el("div", { class: "row", role: "option", onclick: () => this.choose(row.index, true) }, row.mark, row.time, row.arrow, row.text);
    this.space.append(row.element);
    return row;
  }

  fill(row, index, area, isWhole) {
    const message = this.at(index);
    const { element } = row;
    if (row.index !== index) element.style.top = `${index * rowHeight}px`;
    if (row.message === message && row.index === index && !isWhole) return;
    row.index = index;
    row.message = message;
    element.id = `row-${message.sequence}`;
    const chosen = this.selected && message.sequence === this.selected;
    const related = this.related !== undefined && message.callID === this.related && message.callID !== null;
    element.className = `row ${statusClass(message.status)}${chosen ? " chosen" : related ? " related" : ""}${message.isAgain ? " again" : ""}${message.fault !== null ? " faulty" : ""}`;
    element.setAttribute("aria-selected", chosen ? "true" : "false");
    element.setAttribute("aria-posinset", index + 1);
    element.setAttribute("aria-setsize", this.count);
    const far = message.lane.name;
    element.setAttribute("aria-label", `${message.sequence}: ${label(message)} ${message.isIncoming ? `from ${far}` : `to ${far}`}, ${description(message)}${message.isAgain ? ", sent again" : ""}${message.fault !== null ? ", fault" : ""}`);
    row.mark.style.backgroundColor = `hsl(${hue(message.callID)} 55% 55%)`;
    row.time.textContent = message.time.slice(11, 23);
    row.time.title = message.time;
    row.chip.textContent = `${message.isAgain ? "↻ " : ""}${message.fault !== null ? "⚡ " : ""}${label(message)}`;
    const from = message.isIncoming ? message.lane.x : this.core.x;
    const to = message.isIncoming ? this.core.x : message.lane.x;
    const [left, right] = [Math.min(from, to), Math.max(from, to)];
    row.arrow.style.left = `${left}px`;
    row.arrow.style.width = `${right - left}px`;
    row.arrow.className = to > from ? "arrow right" : "arrow left";
    row.text.hidden = area.textWidth === 0;
    row.text.style.width = `${Math.max(0, area.textWidth - 16)}px`;
    row.text.textContent = description(message);
    row.text.title = row.text.textContent;
  }

  // MARK: Choice

  indexOf(sequence) {
    if (!this.view) return this.messages.find(sequence);
    return this.view.findIndex((message) => message.sequence === sequence);
  }

  choose(index, opens = false) {
    const message = this.at(index);
    if (!message) return;
    this.selected = message.sequence;
    this.related = message.callID;
    if (index < this.count - 1) this.setFollow(false);
    this.reveal(index);
    this.draw(true);
    this.open(message, opens);
  }

  /** Chooses by number, whatever is searched for. */
  chooseSequence(sequence) {
    let index = this.indexOf(sequence);
    if (index < 0 && this.view) {
      byID("search").value = "";
      this.filter(null);
      index = this.indexOf(sequence);
    }
    if (index >= 0) this.choose(index, true);
    return index >= 0;
  }

  unchoose() {
    this.selected = 0;
    this.related = undefined;
    this.draw(true);
  }

  reveal(index) {
    const top = index * rowHeight;
    const { scrollTop, clientHeight } = this.rows;
    if (top < scrollTop) this.rows.scrollTop = top;
    else if (top + rowHeight > scrollTop + clientHeight) this.rows.scrollTop = top + rowHeight - clientHeight;
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.rows.clientHeight / rowHeight) - 1);
    const here = this.indexOf(this.selected);
    const moves = {
      ArrowDown: here + 1, ArrowUp: here < 0 ? this.count - 1 : here - 1, PageDown: here + page, PageUp: here - page, Home: 0,
      End: this.count - 1, j: here + 1, k: here < 0 ? this.count - 1 : here - 1,
    };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && here >= 0) {
      this.choose(here, true);
    } else if (event.key in moves) {
      this.choose(Math.min(Math.max(moves[event.key], 0), this.count - 1));
    } else {
      return;
    }
    event.preventDefault();
  }
}
