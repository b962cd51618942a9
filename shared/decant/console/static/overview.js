// The overview: what needs attention, then throughput, queues, running tasks and schedules.

import { get } from "./api.js";
import { latency, throughput } from "./charts.js";
import { ago, duration, empty, h, link, number, table } from "./dom.js";

const SPANS = [["15m", "15 min"], ["24h", "24 h"], ["7d", "7 d"]];

export function overview({ parameters, signal }) {
  const span = SPANS.some(([name]) => name === parameters.span) ? parameters.span : "15m";
  return {
    load: async () => {
      const [now, past] = await Promise.all([get("overview", {}, signal), get("statistics", { window: span }, signal)]);
      return { now, past };
    },
    render: ({ now, past }) => [
      h("h1", {}, "Overview"),
      problems(now),
      h(
        "section",
        { "aria-labelledby": "history" },
        h(
          "div",
          { class: "row" },
          h("h2", { id: "history" }, "Throughput and latency"),
          h(
            "div",
            { class: "segments", role: "group", "aria-label": "Span" },
            SPANS.map(([name, title]) => link(title, "overview", { span: name }, { "aria-current": name === span ? "true" : null })),
          ),
        ),
        h(
          "div",
          { class: "charts" },
          throughput(past),
          latency(past, "wait", "Enqueued until started"),
          latency(past, "run", "Run time"),
        ),
      ),
      h("section", {}, h("h2", {}, "Queues"), queueTable(now, past)),
      h("div", { class: "columns" }, running(now), upcoming(now)),
      workers(now),
    ],
  };
}

const TARGETS = {
  sweeper: () => ["schedules", {}],
  queue: (subject) => ["tasks", { queue: subject, state: "open" }],
  paused: () => ["queues", {}],
  worker: () => ["tasks", { state: "STARTED" }],
  unknown: (subject) => ["tasks", { name: subject, state: "open" }],
  failing: (subject) => ["tasks", { name: subject, state: "FAILURE" }],
};

function problems(now) {
  if (!now.problems.length) {
    return h(
      "section",
      { class: "card fine", "aria-label": "Problems" },
      h("p", { class: "title" }, "Nothing needs attention"),
      h("p", { class: "quiet" }, "No queue is behind, no task has failed within 15 minutes, and the sweeper ran ", ago(now.swept_at), "."),
    );
  }
  return h(
    "section",
    { "aria-labelledby": "stuck" },
    h("h2", { id: "stuck" }, "Needs attention"),
    h(
      "ul",
      { class: "problems" },
      now.problems.map((each) =>
        h(
          "li",
          { class: `card problem ${each.kind}` },
          h("div", {}, h("p", { class: "title" }, each.title), h("p", { class: "quiet detail" }, each.detail)),
          each.kind in TARGETS
            ? link("Show", ...TARGETS[each.kind](each.subject), { class: "button", "aria-label": `Show: ${each.title}` })
            : null,
        ),
      ),
    ),
  );
}

export function queueTable(now, past, actions) {
  if (!now.queues.length) return empty("No queues", "A queue is listed when it is configured or has tasks.");
  const capped = (count) => (count >= now.counted_at_most ? `${number(count)}+` : number(count));
  const minutes = past ? (Date.parse(past.until) - Date.parse(past.since)) / 60_000 : 0;
  const rate = (queue) => {
    const counts = past?.queues[queue];
    return counts ? `${((counts.succeeded + counts.failed + counts.revoked) / minutes).toFixed(1)}/min` : "–";
  };
  const heads = ["Queue", "Due", "Oldest", "Later", "Running", "Succeeded (1 h)", "Failed (1 h)", "Rate", "Wait p95"];
  return table(
    "Queues",
    actions ? [...heads, "Actions"] : heads,
    now.queues.map((each) =>
      h(
        "tr",
        { key: each.queue },
        h("td", {}, link(each.queue, "tasks", { queue: each.queue }), now.paused.includes(each.queue) ? h("span", { class: "badge paused" }, "paused") : null),
        h("td", { class: "number" }, capped(each.due)),
        h("td", { class: `number ${each.oldest_s > 300 ? "bad" : ""}` }, each.due ? duration(each.oldest_s) : "–"),
        h("td", { class: "number" }, capped(each.later)),
        h("td", { class: "number" }, capped(each.running)),
        h("td", { class: "number" }, capped(each.succeeded)),
        h("td", { class: `number ${each.failed ? "bad" : ""}` }, capped(each.failed)),
        h("td", { class: "number" }, rate(each.queue)),
        h("td", { class: "number" }, duration(past?.queues[each.queue]?.wait?.[1])),
        actions ? h("td", { class: "actions" }, actions(each)) : null,
      ),
    ),
  );
}

function running(now) {
  const rows = now.running.map((each) =>
    h(
      "tr",
      { key: each.id },
      h("td", {}, link(each.name, "task", { id: each.id })),
      h("td", {}, each.queue),
      h("td", { class: "number" }, String(each.attempt)),
      h("td", { class: "number" }, ago(each.date_started)),
      h("td", { class: each.overdue ? "number bad" : "number" }, each.overdue ? "lost" : ago(each.lease_expires_at)),
    ),
  );
  return h(
    "section",
    {},
    h("div", { class: "row" }, h("h2", {}, "Running"), link("All running tasks", "tasks", { state: "STARTED" })),
    rows.length
      ? table("Running tasks", ["Task", "Queue", "Attempt", "Started", "Lease ends"], rows)
      : empty("No task runs", "Workers are idle."),
  );
}

function workers(now) {
  const state = (each) => (each.active ? ["success", "active"] : each.is_function ? ["pending", "idle"] : ["failure", "lost"]);
  const rows = now.workers.map((each) =>
    h(
      "tr",
      { key: each.name + each.queues },
      h("td", {}, each.name),
      h("td", {}, h("span", { class: `badge ${state(each)[0]}` }, state(each)[1])),
      h("td", {}, each.queues?.join(", ") ?? (each.is_function ? "of its messages" : "all")),
      h("td", { class: "number" }, each.is_function ? `${number(each.active)} of ${number(each.processes)}` : "–"),
      h("td", { class: "number" }, each.is_function ? number(each.running) : `${number(each.running)} of ${number(each.concurrency)}`),
      h("td", { class: "number" }, ago(each.started_at)),
      h("td", { class: "number" }, ago(each.seen_at)),
    ),
  );
  return h(
    "section",
    {},
    h("h2", {}, "Workers"),
    rows.length
      ? table("Workers", ["Worker", "State", "Queues", "Environments active", "Running", "Since", "Reported"], rows)
      : empty("No workers", "No worker has reported within 15 minutes."),
  );
}

function upcoming(now) {
  const rows = now.schedules.map((each) =>
    h("tr", { key: each.key }, h("td", {}, each.name), h("td", { class: "number" }, ago(each.next)), h("td", {}, h("code", {}, each.definition))),
  );
  return h(
    "section",
    {},
    h("h2", {}, "Next schedules"),
    rows.length
      ? table("Next schedules", ["Task", "Next", "Schedule"], rows)
      : empty("No schedules", "A task with a schedule is listed after the next sweep."),
  );
}
