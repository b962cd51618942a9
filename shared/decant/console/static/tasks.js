// The list of tasks: filters that the URL contains, pages, and actions on several tasks.

import { act, ACTIONS } from "./actions.js";
import { navigate } from "./app.js";
import { get } from "./api.js";
import { ago, badge, duration, empty, h, href, link, table } from "./dom.js";

const CONDITIONS = ["state", "name", "queue", "error", "correlation_id", "since", "until"];
const STATES = [
  ["", "any state"],
  ["open", "open"],
  ["dead", "dead"],
  ...["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"].map((state) => [state, state.toLowerCase()]),
];
const SEARCH_PARTS = 20; // of 10,000 tasks, before the search waits for the user

export function tasks(context) {
  const { parameters, signal } = context;
  const conditions = Object.fromEntries(CONDITIONS.filter((name) => parameters[name]).map((name) => [name, parameters[name]]));
  const selected = new Set();
  const view = {
    load: () => search(conditions, parameters.before, signal),
    render: (page) => {
      for (const id of selected) if (!page.tasks.some((each) => each.id === id)) selected.delete(id);
      return [
        h("h1", {}, "Tasks"),
        form(conditions),
        context.isAdmin ? bulk(context, conditions, selected, page) : null,
        list(view, selected, page, context.isAdmin),
        pages(conditions, parameters, page),
      ];
    },
  };
  return view;
}

/** Read a page. A page without matches leads on, so that rare tasks are found among many. */
async function search(conditions, before, signal) {
  let page;
  const found = [];
  for (let part = 0; part < SEARCH_PARTS; part += 1) {
    page = await get("tasks", { ...conditions, before }, signal);
    found.push(...page.tasks);
    before = page.before;
    if (found.length >= 50 || !before) break;
  }
  return { tasks: found, before };
}

function form(conditions) {
  const submit = (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.currentTarget));
    for (const name of ["since", "until"]) if (given[name]) given[name] = new Date(given[name]).toISOString();
    navigate(href("tasks", given));
  };
  const field = (name, title, props) =>
    h("div", { class: "field" }, h("label", { for: `filter-${name}` }, title), h("input", { id: `filter-${name}`, name, value: conditions[name] ?? "", ...props }));
  const local = (time) => {
    if (!time) return "";
    const date = new Date(time);
    return new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  };
  return h(
    "form",
    { class: "card filters", role: "search", "aria-label": "Filter tasks", on: { submit } },
    h(
      "div",
      { class: "field" },
      h("label", { for: "filter-state" }, "State"),
      h(
        "select",
        { id: "filter-state", name: "state", on: { change: (event) => event.currentTarget.form.requestSubmit() } },
        STATES.map(([value, title]) => h("option", { value, selected: value === (conditions.state ?? "") }, title)),
      ),
    ),
    field("name", "Name", { placeholder: "domain.tasks.mail", autocomplete: "off", "aria-keyshortcuts": "/" }),
    field("queue", "Queue", { placeholder: "default" }),
    field("error", "Error contains", { placeholder: "TimeoutError" }),
    field("correlation_id", "Correlation id", { autocomplete: "off" }),
    field("since", "Created since", { type: "datetime-local", value: local(conditions.since) }),
    field("until", "Created before", { type: "datetime-local", value: local(conditions.until) }),
    h(
      "div",
      { class: "field buttons" },
      h("button", { class: "primary" }, "Filter"),
      Object.keys(conditions).length ? link("Clear", "tasks", {}, { class: "button" }) : null,
    ),
  );
}

function bulk(context, conditions, selected, page) {
  const run = (action) => async () => {
    const target = selected.size ? { ids: [...selected] } : { conditions };
    if (await act(action, target)) {
      selected.clear();
      context.refresh();
    }
  };
  const what = selected.size ? `${selected.size} selected` : "All tasks that match";
  return h(
    "div",
    { class: "row bulk", role: "group", "aria-label": "Actions" },
    h("span", { class: "quiet", role: "status" }, what),
    Object.entries(ACTIONS).map(([action, [verb]]) =>
      h("button", { key: action, class: action === "cancel" ? "danger" : "", disabled: !page.tasks.length, on: { click: run(action) } }, verb),
    ),
  );
}

function list(view, selected, page, isAdmin) {
  if (!page.tasks.length) return empty("No tasks match", "Change the filter, or search among older tasks.");
  const all = page.tasks.every((each) => selected.has(each.id));
  const toggle = (ids, checked) => {
    for (const id of ids) if (checked) selected.add(id); else selected.delete(id);
    view.redraw();
  };
  const box = (label, ids, checked) =>
    h("input", { type: "checkbox", "aria-label": label, checked, on: { change: (event) => toggle(ids, event.currentTarget.checked) } });
  const heads = ["Task", "State", "Queue", "Created", "Waited", "Run time", "Retries", "Error"];
  const check = h("th", { class: "check", scope: "col" }, box("Select all tasks of this page", page.tasks.map((each) => each.id), all));
  return table(
    "Tasks",
    isAdmin ? [check, ...heads] : heads,
    page.tasks.map((each) =>
      h(
        "tr",
        { key: each.id, class: selected.has(each.id) ? "selected" : "" },
        isAdmin ? h("td", { class: "check" }, box(`Select ${each.name} ${each.id}`, [each.id], selected.has(each.id))) : null,
        h("td", {}, link(each.name, "task", { id: each.id }, { "data-row": true }), h("span", { class: "id" }, each.id.slice(-12))),
        h("td", {}, badge(each.state)),
        h("td", {}, each.queue),
        h("td", { class: "number" }, ago(each.date_created)),
        h("td", { class: "number" }, between(each.eta, each.date_started)),
        h("td", { class: "number" }, between(each.date_started, each.date_done)),
        h("td", { class: "number" }, each.retries ? String(each.retries) : ""),
        h("td", { class: "error" }, each.error_type ? h("span", { title: each.error }, h("b", {}, each.error_type), ` ${each.error ?? ""}`) : ""),
      ),
    ),
  );
}

export function between(start, end) {
  return start && end ? duration(Math.max(0, (Date.parse(end) - Date.parse(start)) / 1000)) : "–";
}

function pages(conditions, parameters, page) {
  return h(
    "nav",
    { class: "row pages", "aria-label": "Pages" },
    parameters.before ? link("Newest", "tasks", conditions, { class: "button" }) : null,
    page.before ? link("Older", "tasks", { ...conditions, before: page.before }, { class: "button" }) : h("span", { class: "quiet" }, "No older tasks match."),
  );
}
