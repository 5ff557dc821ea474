// The views beside the messages: who is registered, who is provisioned, which faults are on, and what is wrong with the
// user's own traffic.

import { attempt, byID, call, el, get, getIfThere, notice, openDialog, Refusal, span } from "./interface.js";

const heading = (title, text, ...actions) => el("header", { class: "page-head" },
  el("div", {}, el("h2", {}, title), el("p", { class: "quiet" }, text)), el("div", { class: "group" }, actions));

const cells = (...values) => values.map((value) => el("td", {}, value));

function table(names, rows, empty) {
  if (rows.length === 0) return el("p", { class: "nothing" }, empty);
  return el("div", { class: "scroll" }, el("table", {},
    el("thead", {}, el("tr", {}, names.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows)));
}

/** Puts new content into a view, without taking the focus from what is in it. */
function replace(view, ...content) {
  const focused = view.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  view.replaceChildren(...content);
  if (focused) view.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// MARK: Registrations

export class Registrations {
  constructor(now) {
    this.now = now;
    this.view = byID("registrations");
    this.found = [];
    this.text = "";
    this.seen = new Map();
  }

  async refresh() {
    const { registrations } = await get("/api/registrations");
    this.found = registrations;
    byID("count-registrations").textContent = registrations.length || "";
    const text = JSON.stringify(registrations, (key, value) => (key === "expires" ? undefined : value));
    if (text !== this.text) {
      this.text = text;
      this.draw();
    }
  }

  draw() {
    const most = 500;
    const rows = this.found.slice(0, most).flatMap((registration) => registration.contacts.map((contact, index) => el("tr", {},
      index === 0 ? el("th", { scope: "row", rowspan: registration.contacts.length },
        registration.public_identity, el("div", { class: "quiet" }, registration.private_identity)) : "",
      cells(contact.uri, contact.flow, el("span", { class: "tags" }, contact.feature_tags.map((tag) => el("span", { class: "tag" }, tag)))),
      el("td", { class: "countdown", "data-until": contact.expires_at, "data-key": `${registration.public_identity} ${contact.uri}` }, el("span"), el("i")),
      index === 0 ? el("td", { rowspan: registration.contacts.length, class: "end" },
        el("button", { "data-key": `end ${registration.public_identity}`, title: "As the network does: the user is told to register again", onclick: () => this.end(registration.public_identity) }, "Deregister")) : "")));
    replace(this.view,
      heading("Registrations", "Who is registered, and for how long. The countdown follows the core's clock."),
      table(["Identity", "Contact", "Flow", "Features", "Expires", ""], rows, "Nobody is registered."),
      this.found.length > most ? el("p", { class: "quiet" }, `The first ${most} of ${this.found.length}.`) : "");
    this.tick();
  }

  /** Moves the countdowns. */
  tick() {
    for (const cell of this.view.querySelectorAll(".countdown")) {
      const left = (Date.parse(cell.dataset.until) - this.now()) / 1000;
      const [text, bar] = cell.children;
      const seen = this.seen.get(cell.dataset.key);
      const whole = Math.max(left, seen?.until === cell.dataset.until ? seen.whole : 0);
      this.seen.set(cell.dataset.key, { until: cell.dataset.until, whole });
      text.textContent = left > 0 ? span(left) : "expired";
      bar.style.width = `${whole > 0 ? Math.max(0, Math.min(100, (left / whole) * 100)) : 0}%`;
      cell.classList.toggle("soon", left < 60);
    }
  }

  end(identity) {
    return attempt(async () => {
      await call("DELETE", `/api/registrations/${encodeURIComponent(identity)}`);
      await this.refresh();
    });
  }
}

// MARK: Subscribers

export class Subscribers {
  constructor() {
    this.view = byID("subscribers");
    this.found = [];
  }

  async refresh() {
    const answer = await getIfThere("/api/subscribers");
    byID("tab-subscribers").hidden = !answer;
    if (!answer || JSON.stringify(answer.subscribers) === this.text) return;
    this.text = JSON.stringify(answer.subscribers);
    this.found = answer.subscribers;
    this.draw();
  }

  draw() {
    const rows = this.found.slice(0, 1000).map((subscriber) => el("tr", {},
      el("th", { scope: "row" }, subscriber.name, el("div", { class: "quiet" }, subscriber.private_identity)),
      cells(subscriber.public_identities.map((identity) => el("div", {}, identity)), subscriber.authentication,
        [...subscriber.application_servers, subscriber.service_profile, subscriber.profile_xml].filter(Boolean).join(", ")),
      el("td", { class: "end" }, el("span", { class: "group" },
        el("button", { "data-key": `edit ${subscriber.name}`, "aria-label": `Edit ${subscriber.name}`, onclick: () => this.edit(subscriber) }, "Edit"),
        el("button", { "data-key": `remove ${subscriber.name}`, "aria-label": `Remove ${subscriber.name}`, onclick: () => this.remove(subscriber.name) }, "Remove")))));
    replace(this.view,
      heading("Subscribers", "Who may register. Changes hold at once; credentials go in and never come out.",
        el("button", { class: "primary", "data-key": "add", onclick: () => this.edit(null) }, "Add")),
      table(["Name", "Public identities", "Authentication", "Application servers, profile", ""], rows, "Nobody is provisioned."));
  }

  async edit(subscriber) {
    // What is not asked to prove itself needs no password; what a SIM holds is not here to be shown.
    const draft = {};
    if (subscriber) draft.authentication = subscriber.authentication;
    if (draft.authentication === "aka") draft.aka = { k: "", opc: "" };
    else if (draft.authentication === undefined || draft.authentication === "digest") draft.password = "";
    if (subscriber) {
      draft.public_identities = subscriber.public_identities;
      if (Object.keys(subscriber.private_identities).length > 0) draft.private_identities = subscriber.private_identities;
      if (subscriber.application_servers.length > 0) draft.application_servers = subscriber.application_servers;
      if (subscriber.service_profile) draft.service_profile = subscriber.service_profile;
      if (subscriber.profile_xml) draft.profile_xml = subscriber.profile_xml;
    }
    const name = el("input", { name: "name", required: true, value: subscriber?.name, readonly: Boolean(subscriber), autocomplete: "off", autofocus: !subscriber });
    const text = el("textarea", { name: "json", rows: "12", spellcheck: "false", autofocus: Boolean(subscriber) });
    text.value = JSON.stringify(draft, null, 2);
    const done = await openDialog(subscriber ? `Edit ${subscriber.name}` : "Add a subscriber", [
      el("label", {}, "Name", name),
      el("label", {}, "Fields, as in the topology file", text),
      el("p", { class: "quiet" }, "What stands here takes the place of all that was: write the password or aka again."),
    ], {
      submitText: "Save", wide: true,
      submit: async () => {
        try { JSON.parse(text.value); } catch (error) { throw new Refusal(400, `this is no JSON: ${error.message}`); }
        await call("PUT", `/api/subscribers/${encodeURIComponent(name.value)}`, { json: text.value });
      },
    });
    if (done) await this.refresh();
  }

  async remove(name) {
    const done = await openDialog(`Remove ${name}?`, el("p", {}, "A registration of this subscriber ends with it."), {
      submitText: "Remove", danger: true, submit: () => call("DELETE", `/api/subscribers/${encodeURIComponent(name)}`),
    });
    if (done) await this.refresh();
  }
}

// MARK: Faults

/** What each action asks for. */
const actions = {
  drop: [], delay: ["delay"], duplicate: ["copies"], reorder: ["behind"], answer: ["answer_status", "answer_headers"],
  header: ["set", "remove"], corrupt: ["bytes"], cut: ["bytes"], close: [], stale_sqn: [],
};
const numbers = new Set(["status", "nth", "times", "probability", "seed", "copies", "behind", "answer_status", "bytes"]);
const presets = {
  "Lose the next message": { action: "drop", times: "1" },
  "Lose a 200 to MESSAGE": { method: "MESSAGE", status: "200", action: "drop", times: "1" },
  "Answer 503": { action: "answer", answer_status: "503" },
  "Slow by 2 s": { action: "delay", delay: "2s" },
  "Twice": { action: "duplicate", copies: "1" },
  "Old number for a SIM": { action: "stale_sqn", times: "1" },
};

export class Faults {
  constructor() {
    this.view = byID("faults");
    this.found = [];
    /** Rules that were switched off: the core has forgotten them, the page has not. */
    this.off = [];
  }

  async refresh() {
    const answer = await getIfThere("/api/faults");
    byID("tab-faults").hidden = !answer;
    if (!answer) return;
    this.found = answer.faults ?? [];
    byID("count-faults").textContent = this.found.length || "";
    const text = JSON.stringify([this.found, this.off]);
    if (text !== this.text) {
      this.text = text;
      this.draw();
    }
  }

  draw() {
    const rule = (fault, isOn, key) => el("tr", { class: isOn ? "" : "off" },
      el("td", {}, el("label", { class: "toggle" }, el("input", { type: "checkbox", role: "switch", "data-key": key, checked: isOn, "aria-label": `${summary(fault)} is on`, onchange: () => (isOn ? this.switchOff(fault) : this.switchOn(fault)) }), el("span"))),
      el("td", {}, el("strong", {}, fault.action), " ", effect(fault)),
      el("td", {}, conditions(fault)),
      el("td", { class: "number" }, isOn ? fault.hits ?? 0 : "–"),
      el("td", { class: "end" }, el("button", { "data-key": `remove ${key}`, "aria-label": `Remove: ${summary(fault)}`, onclick: () => this.remove(fault, isOn) }, "Remove")));
    replace(this.view,
      heading("Faults", "What befalls messages on their way into the core and out of it.",
        el("button", { "data-key": "all", onclick: () => this.removeAll(), disabled: this.found.length === 0 }, "Remove all"),
        el("button", { class: "primary", "data-key": "add", onclick: () => this.add() }, "Add")),
      el("div", { class: "presets group", role: "group", "aria-label": "Common faults" },
        Object.entries(presets).map(([name, values]) => el("button", { "data-key": name, onclick: () => this.add(values) }, name))),
      table(["On", "What befalls", "Which messages", "Hits", ""], [
        ...this.found.map((fault) => rule(fault, true, `on ${fault.id}`)), ...this.off.map((fault, index) => rule(fault, false, `off ${index}`)),
      ], "All goes well: there is no fault."));
  }

  async add(values = {}) {
    const field = (name, text, options = {}) => el("label", {}, text, el("input", { name, autocomplete: "off", spellcheck: "false", value: values[name], ...options }));
    const choice = (name, text, words) => el("label", {}, text, el("select", { name }, words.map((word) =>
      el("option", { value: word, selected: values[name] === word }, word || "any"))));
    const action = choice("action", "What befalls them", Object.keys(actions)).firstElementChild;
    const list = (name, text) => el("label", {}, text, el("textarea", { name, rows: "3", spellcheck: "false" }));
    const parameters = {
      delay: field("delay", "By", { placeholder: "2s" }), copies: field("copies", "Copies", { inputmode: "numeric", placeholder: "1" }),
      behind: field("behind", "Behind how many", { inputmode: "numeric", placeholder: "1" }),
      answer_status: field("answer_status", "Status", { inputmode: "numeric", placeholder: "503" }),
      answer_headers: list("answer_headers", "Header fields of the answer, one a line"),
      set: list("set", "Header fields to set, one a line (Expires: 1)"), remove: list("remove", "Header fields to remove, one a line"),
      bytes: field("bytes", "Octets", { inputmode: "numeric", placeholder: "1" }),
    };
    const show = () => {
      for (const [name, element] of Object.entries(parameters)) element.hidden = !actions[action.value].includes(name);
    };
    action.addEventListener("change", show);
    show();
    const done = await openDialog("Add a fault", [
      el("fieldset", { class: "grid" }, el("legend", {}, "Which messages (left out: all)"),
        field("method", "Method", { placeholder: "MESSAGE" }), field("status", "Status", { inputmode: "numeric", placeholder: "200" }),
        field("peer", "Peer", { placeholder: "im" }), choice("direction", "Direction", ["in", "out"]),
        choice("transport", "Transport", ["", "udp", "tcp", "tls", "ws", "wss"]), field("call_id", "Call-ID"),
        field("nth", "From which on", { inputmode: "numeric", placeholder: "1" }), field("times", "How many", { inputmode: "numeric", placeholder: "all" }),
        field("probability", "Probability", { inputmode: "decimal", placeholder: "1" }), field("seed", "Seed", { inputmode: "numeric" })),
      el("fieldset", { class: "grid" }, el("legend", {}, "What befalls them"), el("label", {}, "Action", action), Object.values(parameters)),
    ], { submitText: "Add", wide: true, submit: (form) => call("POST", "/api/faults", { json: rule(form) }) });
    if (done) await this.refresh();
  }

  switchOff(fault) {
    return attempt(async () => {
      await call("DELETE", `/api/faults/${encodeURIComponent(fault.id)}`);
      this.off.push(fault);
      await this.refresh();
    });
  }

  switchOn(fault) {
    return attempt(async () => {
      const { id, hits, matches, ...rest } = fault;
      await call("POST", "/api/faults", { json: rest });
      this.off = this.off.filter((other) => other !== fault);
      await this.refresh();
    });
  }

  remove(fault, isOn) {
    return attempt(async () => {
      if (isOn) await call("DELETE", `/api/faults/${encodeURIComponent(fault.id)}`);
      this.off = this.off.filter((other) => other !== fault);
      await this.refresh();
    });
  }

  removeAll() {
    return attempt(async () => {
      await call("DELETE", "/api/faults");
      await this.refresh();
    });
  }
}

/** The rule that a form says: what is left empty is left out. */
function rule(form) {
  const wanted = new Set(["method", "status", "peer", "direction", "transport", "call_id", "nth", "times", "probability", "seed", "action", ...actions[form.elements.action.value]]);
  const found = {};
  for (const [name, text] of new FormData(form)) {
    const value = text.trim();
    if (!wanted.has(name) || value === "") continue;
    if (name === "set" || name === "answer_headers") {
      found[name] = Object.fromEntries(value.split("\n").filter((line) => line.trim()).map((line) => {
        const colon = line.indexOf(":");
        if (colon < 1) throw new Refusal(400, "write each header field as NAME: VALUE", name);
        return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
      }));
    } else if (name === "remove") {
      found[name] = value.split(/[\n,]/).map((line) => line.trim()).filter(Boolean);
    } else {
      found[name] = numbers.has(name) && Number.isFinite(Number(value)) ? Number(value) : value;
    }
  }
  return found;
}

const effect = (fault) => (actions[fault.action] ?? []).filter((name) => fault[name] !== undefined && fault[name] !== null)
  .map((name) => `${name.replace("answer_", "")} ${typeof fault[name] === "object" ? JSON.stringify(fault[name]) : fault[name]}`).join(", ");

const conditions = (fault) => ["method", "status", "peer", "direction", "transport", "call_id", "nth", "times", "probability", "seed"]
  .filter((name) => fault[name] !== undefined && fault[name] !== null).map((name) => el("span", { class: "tag" }, `${name} ${fault[name]}`));

const summary = (fault) => `${fault.action} ${effect(fault)} ${fault.method ?? ""} ${fault.status ?? ""} ${fault.peer ?? ""}`.replace(/\s+/g, " ").trim();

// MARK: Findings

export class Findings {
  constructor(choose) {
    this.choose = choose;
    this.view = byID("findings");
  }

  async refresh() {
    const answer = await getIfThere("/api/findings");
    byID("tab-findings").hidden = !answer;
    if (!answer) return;
    const text = JSON.stringify(answer.findings);
    if (text === this.text) return;
    this.text = text;
    byID("count-findings").textContent = answer.findings.length || "";
    const rows = answer.findings.slice(0, 500).map((finding) => el("tr", {},
      el("td", {}, el("span", { class: `tag ${finding.severity === "error" ? "bad" : finding.severity === "warning" ? "warn" : ""}` }, finding.severity)),
      el("td", {}, finding.node ?? ""),
      el("td", {}, el("strong", {}, finding.text), el("div", {}, finding.advice ?? ""), el("div", { class: "quiet" }, `${finding.clause ?? ""} · ${finding.rule}`)),
      el("td", { class: "end" }, finding.sequence ? el("button", { "data-key": `show ${finding.sequence} ${finding.rule}`, onclick: () => this.choose(finding.sequence) }, `Message ${finding.sequence}`) : "")));
    replace(this.view,
      heading("Findings", "What clients and servers do against the standards."),
      table(["", "Who", "What, and what would be right", ""], rows, "Nothing was found against what was recorded."));
  }
}

// MARK: Sending

/** Asks for a request and sends it. */
export async function sendRequest(show) {
  const way = el("select", { name: "way" }, el("option", { value: "as" }, "as subscriber"), el("option", { value: "to" }, "to node"));
  const name = el("input", { name: "name", required: true, autocomplete: "off", placeholder: "alice", autofocus: true });
  const text = el("textarea", { name: "raw", rows: "12", spellcheck: "false" });
  text.value = "MESSAGE sip:bob@home1.test SIP/2.0\nContent-Type: text/plain\n\nhello";
  const result = el("pre", { class: "body", hidden: true, tabindex: "0", "aria-label": "The answers" });
  await openDialog("Send a request", [
    el("div", { class: "grid two" }, el("label", {}, "Send", way), el("label", {}, "Name", name)),
    el("label", {}, "The request; what it lacks is filled in", text), result,
  ], {
    submitText: "Send", wide: true,
    submit: async () => {
      result.hidden = true;
      const { responses } = await call("POST", "/api/send", { json: { [way.value]: name.value, raw: text.value } });
      result.hidden = false;
      result.textContent = responses.map((response) => response.raw ?? response.start_line).join("\n");
      show();
      throw new Refusal(200, `${responses.at(-1)?.start_line ?? "no answer"}`);
    },
  });
}

export const askWhetherToReset = () => openDialog("Begin anew?", el("p", {}, "Registrations, messages and faults are forgotten. Subscribers and the clock stay."), {
  submitText: "Reset", danger: true,
  submit: async () => {
    await call("POST", "/api/reset");
    notice("All is forgotten.", false);
  },
});
