// The core's HTTP interface, and the few things that all parts of the page need.

const tokenKey = "sipcore.token";

/** What the core answered instead of what was hoped for. */
export class Refusal extends Error {
  constructor(status, text, field) {
    super(text);
    this.status = status;
    this.field = field;
  }
}

/** Asked for a token when the core wants one; the page sets it. */
let askToken = async () => null;
export function onTokenWanted(ask) { askToken = ask; }

let asking = null;

/** Calls the core. A token that it wants is asked for once, and kept while the tab is open. */
export async function call(method, path, { json, signal, raw } = {}) {
  for (;;) {
    const headers = {};
    const token = sessionStorage.getItem(tokenKey);
    if (token) headers.Authorization = `Bearer ${token}`;
    if (json !== undefined) headers["Content-Type"] = "application/json";
    const body = json === undefined ? undefined : typeof json === "string" ? json : JSON.stringify(json);
    const answer = await fetch(path, { method, headers, body, signal, cache: "no-store" });
    if (answer.status === 401) {
      asking ??= askToken(token !== null).finally(() => { asking = null; });
      const given = await asking;
      if (given === null) throw new Refusal(401, "the core asks for a token");
      sessionStorage.setItem(tokenKey, given);
      continue;
    }
    if (raw) {
      if (!answer.ok) throw await refusal(answer);
      return answer;
    }
    if (!answer.ok) throw await refusal(answer);
    if (answer.status === 204) return null;
    return answer.json();
  }
}

async function refusal(answer) {
  const text = await answer.text();
  try {
    const { error, field } = JSON.parse(text);
    return new Refusal(answer.status, error ?? text, field);
  } catch {
    return new Refusal(answer.status, text || `${answer.status} ${answer.statusText}`);
  }
}

export const get = (path, options) => call("GET", path, options);

/** What the core of this page answers, by the paths of its description; asked once. */
let paths = null;
export async function askAbilities() {
  const document = await (await call("GET", "/api/openapi.yaml", { raw: true })).text();
  paths = new Set([...document.matchAll(/^  (\/[^:]*):$/gm)].map(([, path]) => path));
}
export const has = (path) => paths !== null && paths.has(path);

/** The answer, or null where the core of this page has nothing at the path. */
export async function getIfThere(path, options) {
  if (!path.includes("/", 5) && !has(path)) return null;
  try {
    return await get(path, options);
  } catch (error) {
    if (error instanceof Refusal && (error.status === 404 || error.status === 405)) return null;
    throw error;
  }
}

/** An element with attributes, listeners (`onclick`) and children. Text is text, never markup. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "class") element.className = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
  return element;
}

export const byID = (id) => document.getElementById(id);

/** Says something for a while; it is read out too. */
export function notice(text, isFault = true) {
  const line = el("p", { class: isFault ? "notice fault" : "notice" }, text);
  byID("notices").append(line);
  setTimeout(() => line.remove(), isFault ? 8000 : 3000);
}

/** Runs what a button does; what goes wrong is said. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message);
    return undefined;
  }
}

/** Opens the dialog with a form; `submit` gets the form and keeps it open by throwing. */
export function openDialog(title, content, { submitText = "OK", submit, wide = false, danger = false } = {}) {
  const dialog = byID("dialog");
  return new Promise((resolve) => {
    let outcome = null;
    const fault = el("p", { class: "fault", role: "alert" });
    const form = el(
      "form", { method: "dialog", class: wide ? "wide" : "" },
      el("h2", { id: "dialog-title" }, title), content, fault,
      el("div", { class: "actions" },
        el("button", { type: "button", onclick: () => dialog.close() }, submit ? "Cancel" : "Close"),
        submit && el("button", { class: danger ? "danger" : "primary" }, submitText)));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      fault.textContent = "";
      try {
        outcome = await submit(form) ?? true;
        dialog.close();
      } catch (error) {
        fault.textContent = error.field ? `${error.field}: ${error.message}` : error.message;
        const field = error.field && form.elements.namedItem(error.field);
        if (field instanceof HTMLElement) field.focus();
      }
    });
    dialog.replaceChildren(form);
    dialog.addEventListener("close", () => resolve(outcome), { once: true });
    dialog.showModal();
    (form.querySelector("[autofocus], input, textarea, select") ?? form.querySelector("button")).focus();
  });
}

/** 1 h 02 m 03 s and the like. */
export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
  const found = [];
  let rest = s;
  for (const [size, unit] of parts) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || found.length > 0 || unit === "s") found.push(`${count}${unit}`);
  }
  return found.slice(0, 2).join(" ");
}
