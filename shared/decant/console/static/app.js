// The frame of the console: the token, the views, and their updates.

import { dropToken, get, hasToken, setAccess, takeToken } from "./api.js";
import { h, href, link, update } from "./dom.js";
import { overview } from "./overview.js";
import { deadLetters, queues, schedules } from "./operations.js";
import { task } from "./task.js";
import { tasks } from "./tasks.js";
import { trace, traces } from "./traces.js";
import { workflow, workflows } from "./workflows.js";

const VIEWS = { overview, tasks, task, workflows, workflow, schedules, queues, dead: deadLetters, traces, trace };
const MENU = [
  ["overview", "Overview"],
  ["tasks", "Tasks"],
  ["workflows", "Workflows"],
  ["schedules", "Schedules"],
  ["queues", "Queues"],
  ["dead", "Dead letters"],
  ["traces", "Traces"],
];
const PART_OF = { task: "tasks", workflow: "workflows", trace: "traces" };

const main = document.getElementById("main");
const live = document.getElementById("live");
let current = { stop() {} };
let isAdmin = null;

/** Show a message for some seconds. */
export function toast(text, kind = "done") {
  const shown = h("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 8000);
}

/** Open a view; `replace` changes the present entry of the history. */
export function navigate(url, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", url);
  show();
}

function menu(name) {
  const active = PART_OF[name] ?? name;
  update(
    document.getElementById("nav"),
    ...MENU.map(([view, title]) => link(title, view, {}, { "aria-current": view === active ? "page" : null, key: view })),
  );
}

async function show() {
  current.stop();
  const parameters = Object.fromEntries(new URLSearchParams(location.search));
  const name = parameters.view in VIEWS ? parameters.view : "overview";
  menu(name);
  document.title = `${MENU.find(([view]) => view === (PART_OF[name] ?? name))[1]} · Console`;
  if (!hasToken()) return askForToken();
  const controller = new AbortController();
  const shown = { stop: () => controller.abort(), refresh: () => {} };
  current = shown;
  const context = {
    parameters,
    signal: controller.signal,
    refresh: () => shown.refresh(),
    get isAdmin() {
      return isAdmin;
    },
  };
  try {
    isAdmin ??= (await get("scopes", {}, controller.signal)).admin;
    const view = VIEWS[name](context);
    await poll(view, shown, controller.signal);
  } catch (error) {
    if (!controller.signal.aborted) fail(error);
  }
}

async function poll(view, shown, signal) {
  let timer = 0;
  let data;
  const draw = () => !signal.aborted && update(main, ...[view.render(data)].flat().filter(Boolean));
  const load = async () => {
    clearTimeout(timer);
    try {
      data = await view.load();
      if (signal.aborted) return;
      draw();
      status("Live", "on");
    } catch (error) {
      if (signal.aborted) return;
      if (data === undefined || error.status === 401 || error.status === 403) throw error;
      status(error.message, "off");
    }
    timer = setTimeout(() => (document.hidden ? next() : load().catch(fail)), view.every ?? 3000);
  };
  const next = () => document.addEventListener("visibilitychange", () => load().catch(fail), { once: true, signal });
  signal.addEventListener("abort", () => clearTimeout(timer));
  shown.refresh = () => load().catch(fail);
  view.redraw = draw;
  main.replaceChildren(h("p", { class: "loading" }, "Loading…"));
  await load();
}

function status(text, kind) {
  update(live, h("span", { class: `dot ${kind}`, "aria-hidden": "true" }), text);
}

function fail(error) {
  if (error.status === 401 || error.status === 403) {
    dropToken();
    isAdmin = null;
    return askForToken(error.message);
  }
  const title = error.status === 404 ? "Not found" : "Could not load";
  main.replaceChildren(
    h(
      "section",
      { class: "empty" },
      h("h1", {}, title),
      h("p", {}, error.message ?? String(error)),
      h("button", { class: "primary", on: { click: show } }, "Try again"),
    ),
  );
  status("Stopped", "off");
}

function askForToken(problem) {
  status("", "none");
  const field = h("textarea", { id: "token", rows: "4", required: true, autocomplete: "off", spellcheck: "false" });
  const key = h("input", { id: "key", autocomplete: "off", spellcheck: "false" });
  const submit = (event) => {
    event.preventDefault();
    setAccess(field.value, key.value);
    show();
  };
  main.replaceChildren(
    h(
      "form",
      { class: "card login", on: { submit } },
      h("h1", {}, "Token"),
      problem ? h("p", { class: "problem-text" }, problem) : null,
      h("p", {}, "The console needs a bearer token with the scope ", h("code", {}, "tasks:read"), "; actions need ",
        h("code", {}, "tasks:admin"), ". In the local cloud, ", h("code", {}, "make token"), " prints one."),
      h("label", { for: "token" }, "Bearer token"),
      field,
      h("label", { for: "key" }, "API key, if the API requires one"),
      key,
      h("button", { class: "primary" }, "Open the console"),
    ),
  );
  field.focus();
}

function onClick(event) {
  const anchor = event.target.closest("a[href^='?']");
  if (!anchor || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  navigate(anchor.getAttribute("href"));
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
}

function onKey(event) {
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const rows = [...main.querySelectorAll("tbody a[data-row]")];
  const at = rows.indexOf(document.activeElement?.closest("tr")?.querySelector("a[data-row]"));
  const filter = document.getElementById("filter-name");
  if (event.key === "/" && filter) filter.focus();
  else if (event.key === "j") rows[Math.min(at + 1, rows.length - 1)]?.focus();
  else if (event.key === "k") rows[Math.max(at - 1, 0)]?.focus();
  else if (event.key === "x") rows[at]?.closest("tr").querySelector("input[type=checkbox]")?.click();
  else if (event.key >= "1" && event.key <= String(MENU.length)) navigate(href(MENU[event.key - 1][0]));
  else return;
  event.preventDefault();
}

takeToken();
document.addEventListener("click", onClick);
document.addEventListener("keydown", onKey);
addEventListener("popstate", show);
addEventListener("hashchange", () => {
  takeToken();
  isAdmin = null;
  show();
});
show();
