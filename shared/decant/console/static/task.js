// A task: its timeline, values, error, log lines and relatives.

import { act } from "./actions.js";
import { get } from "./api.js";
import { ago, badge, duration, exact, h, link, shortName, table } from "./dom.js";
import { between } from "./tasks.js";
import { waterfall } from "./traces.js";

const FINISHED = new Set(["SUCCESS", "FAILURE", "REVOKED"]);

export function task(context) {
  const { parameters, signal } = context;
  let lines = null;
  let spans = null;
  return {
    every: 2000,
    load: async () => {
      const found = await get(`tasks/${parameters.id}`, {}, signal);
      if (found.correlation_id && !found.log_url) {
        lines = (await get(`tasks/${parameters.id}/logs`, {}, signal).catch(() => ({ lines: [] }))).lines;
      }
      spans = await get(`traces/${found.trace_id}`, {}, signal).catch(() => spans);
      return found;
    },
    render: (found) => [
      h(
        "div",
        { class: "row heading" },
        h("div", {}, h("h1", {}, shortName(found.name), badge(found.state)), h("p", { class: "quiet wrap" }, found.name, " · ", h("code", {}, found.id))),
        context.isAdmin ? buttons(context, found) : null,
      ),
      h("div", { class: "columns wide" }, timeline(found), facts(found)),
      waterfall(spans, { only: found.id }),
      failure(found),
      values(found),
      steps(found),
      relatives(found),
      logs(found, lines),
    ],
  };
}

function buttons(context, found) {
  const run = (action) => async () => {
    if (await act(action, { ids: [found.id] })) context.refresh();
  };
  const waits = found.state === "PENDING" || found.state === "RETRY";
  return h(
    "div",
    { class: "row", role: "group", "aria-label": "Actions" },
    waits ? h("button", { key: "retry", on: { click: run("retry") } }, "Run now") : null,
    FINISHED.has(found.state)
      ? found.state !== "SUCCESS" && h("button", { key: "redrive", class: "primary", on: { click: run("redrive") } }, "Redrive")
      : h("button", { key: "cancel", class: "danger", on: { click: run("cancel") } }, "Cancel"),
  );
}

function timeline(found) {
  const attempts = found.attempts.map((each) => [
    each.date_done,
    "retry",
    `Attempt ${each.attempt} failed after ${between(each.date_started, each.date_done)}`,
    `${each.error_type}: ${each.error}`,
  ]);
  const events = [[found.date_created, "pending", "Enqueued", `on queue ${found.queue}`], ...attempts];
  const isRun = found.date_started && found.attempts.at(-1)?.attempt !== found.attempt;
  if (isRun) events.push([found.date_started, "started", `Attempt ${found.attempt} started`, `${between(found.eta, found.date_started)} after it was due`]);
  if (found.date_done) events.push([found.date_done, found.state.toLowerCase(), ended(found), isRun ? `after ${between(found.date_started, found.date_done)}` : ""]);
  else if (!found.lease_expires_at) events.push([found.eta, "pending", "Due", found.attempts.length ? "for its next attempt" : ""]);
  else events.push([found.lease_expires_at, "started", "Lease ends", "unless its worker renews it"]);
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Timeline"),
    h(
      "ol",
      { class: "timeline" },
      events.map(([time, kind, title, detail]) =>
        h("li", { class: kind }, h("p", { class: "title" }, title), h("p", { class: "quiet wrap" }, exact(time), detail ? ` · ${detail}` : "")),
      ),
    ),
  );
}

const ended = (found) => ({ SUCCESS: "Succeeded", FAILURE: "Failed", REVOKED: "Revoked" })[found.state];

function facts(found) {
  const shown = [
    ["Queue", link(found.queue, "tasks", { queue: found.queue })],
    ["Attempts", `${found.attempt}`],
    ["Retries", found.max_retries === null ? `${found.retries} of any number` : `${found.retries} of ${found.max_retries}`],
    ["Lost workers", found.losses || null],
    ["Priority", found.priority || null],
    ["Due", ago(found.eta)],
    ["Expires", found.expires && ago(found.expires)],
    ["Group", found.group_key],
    ["Unique key", found.unique_key],
    ["Idempotency key", found.idempotency_key],
    ["Workflow", found.root_id && link("Show the graph", "workflow", { id: found.root_id })],
    ["Correlation id", found.correlation_id && link(found.correlation_id, "tasks", { correlation_id: found.correlation_id })],
  ];
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Details"),
    h("dl", {}, shown.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [h("dt", {}, name), h("dd", { class: "wrap" }, value)])),
  );
}

function failure(found) {
  if (!found.error_type) return null;
  const all = (found.traceback ?? "").split("\n");
  const own = new Set(found.application_frames);
  const code = (numbers) => h("pre", { tabindex: "0" }, numbers.map((n) => h("span", { class: own.has(n) ? "own" : "" }, `${all[n]}\n`)));
  return h(
    "section",
    { class: "card failure-card" },
    h("h2", {}, found.error_type),
    h("p", { class: "wrap" }, found.error),
    own.size ? [h("h3", {}, "Frames of the application"), code([...own])] : null,
    found.traceback ? h("details", {}, h("summary", {}, "Whole traceback"), code(all.keys().toArray())) : null,
  );
}

function values(found) {
  const part = (title, value) =>
    value && h("section", { class: "card" }, h("h2", {}, title), h("pre", { tabindex: "0" }, value.text), value.truncated ? h("p", { class: "quiet" }, "The rest is not shown.") : null);
  const isEmpty = (value, text) => !value || value.text === text;
  return h(
    "div",
    { class: "columns wide" },
    part("Arguments", isEmpty(found.args, "[]") && !isEmpty(found.kwargs, "{}") ? null : found.args),
    isEmpty(found.kwargs, "{}") ? null : part("Keyword arguments", found.kwargs),
    part("Progress", found.progress),
    found.state === "SUCCESS" ? part("Result", found.result ?? { text: "null" }) : null,
  );
}

function steps(found) {
  if (!found.steps.length) return null;
  const rows = found.steps.map((each) =>
    h(
      "tr",
      { key: `${each.name}#${each.n}` },
      h("td", {}, each.n ? `${each.name} #${each.n}` : each.name),
      h("td", {}, h("span", { class: `badge ${each.error ? "failure" : each.kind === "begun" ? "started" : "success"}` }, each.kind)),
      h("td", { class: "number" }, between(each.date_started, each.date_done)),
      h("td", { class: "number" }, each.due_at ? ago(each.due_at) : "–"),
      h("td", { class: "number" }, String(each.attempt)),
      h("td", { class: "error" }, each.error ?? each.result?.text ?? "null"),
    ),
  );
  return h("section", {}, h("h2", {}, "Steps"), table("Steps", ["Step", "Kind", "Time", "Due", "Attempt", "Result"], rows));
}

function relatives(found) {
  const part = (title, list) =>
    list.length
      ? h("section", { class: "card" }, h("h2", {}, title), h("ul", { class: "plain" }, list.map((each) => h("li", { key: each.id }, badge(each.state), " ", link(each.name, "task", { id: each.id })))))
      : null;
  if (!found.parents.length && !found.children.length) return null;
  return h("div", { class: "columns wide" }, part("Parents", found.parents), part("Children", found.children));
}

function logs(found, lines) {
  if (found.log_url) {
    return h("section", { class: "card" }, h("h2", {}, "Log"), h("p", {}, h("a", { href: found.log_url, rel: "noreferrer", target: "_blank" }, "Open in CloudWatch Logs Insights")));
  }
  if (!lines) return null;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Log"),
    lines.length ? h("pre", { class: "log", tabindex: "0" }, lines.map((line) => `${readable(line)}\n`)) : h("p", { class: "quiet" }, "No lines with this correlation id."),
  );
}

/** The time, the level and the message of a JSON line, then its other fields. */
function readable(line) {
  try {
    const { timestamp, level, message, location, service, stage, correlation_id, ...rest } = JSON.parse(line);
    const others = Object.entries(rest).filter(([name]) => !/^(cold_start|function_|xray|logger|exception)/.test(name));
    return [timestamp, level, message, ...others.map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)].join(" ");
  } catch {
    return line;
  }
}
