// Traces: a list of requests, and the spans of a trace as a waterfall.

import { get } from "./api.js";
import { ago, duration, empty, exact, h, link, s, table } from "./dom.js";

const WIDTH = 1000;
const BREAK = 42; // width of a gap in which nothing runs
const KINDS = [
  ["request", "Request", (span) => span.kind === 2],
  ["statement", "SQL", (span) => "db.system.name" in span.attributes],
  ["call", "HTTP call", (span) => span.kind === 3 && "http.request.method" in span.attributes],
  ["wait", "Wait for a retry", (span) => span.name.startsWith("retry ")],
  ["message", "Enqueue, publish, claim", (span) => span.kind === 4 || span.name.startsWith("publish ") || span.name.startsWith("claim")],
  ["task", "Task run", (span) => span.kind === 5],
  ["code", "View, step, code", () => true],
];
const FIRST = ["db.query.text", "url.full", "http.route", "http.response.status_code", "decant.task", "decant.attempt", "decant.state"];

/** The view with the list of requests. */
export function traces({ parameters, signal }) {
  return {
    load: async () => (await get("traces", { before: parameters.before, count: 50 }, signal)).requests,
    render: (found) => [
      h("h1", {}, "Traces"),
      h("p", { class: "quiet" }, "Requests of the local cloud; the trace of a task is on its page."),
      found.length
        ? table("Requests", ["Request", "Status", "Duration", "Started", "Function", "Path"], found.map(request))
        : empty("No requests", "The local cloud keeps the traces of a day. On AWS, OTEL_EXPORTER_OTLP_ENDPOINT sends them to a receiver."),
      found.length === 50 ? h("p", { class: "pages row" }, link("Earlier requests", "traces", { before: found.at(-1).number })) : null,
    ],
  };
}

function request(each) {
  const state = each.error ? "failure" : each.status >= 400 ? "retry" : "success";
  return h(
    "tr",
    { key: String(each.number) },
    h("td", {}, link(each.name, "trace", { id: each.trace_id }, { "data-row": "" })),
    h("td", {}, h("span", { class: `badge ${state}` }, String(each.status ?? "–"))),
    h("td", { class: "number" }, duration(each.seconds)),
    h("td", {}, ago(each.started)),
    h("td", {}, each.service),
    h("td", { class: "wrap" }, each.path ?? "–"),
  );
}

/** The view with the waterfall of a trace. */
export function trace({ parameters, signal }) {
  return {
    load: () => get(`traces/${parameters.id}`, {}, signal),
    render: (found) => [
      h("div", {}, h("h1", {}, found.spans[0]?.name ?? "Trace"), h("p", { class: "quiet wrap" }, "Trace ", h("code", {}, found.trace_id.replaceAll("-", "")))),
      waterfall(found) ?? empty("No spans", "The local cloud has not received this trace, or has deleted it after a day."),
    ],
  };
}

/** The spans of a trace below each other; null without spans. */
export function waterfall(found, { only = null } = {}) {
  if (!found?.spans.length) return null;
  const ordered = tree(found.spans);
  const scale = axis(found.spans);
  const present = new Set(ordered.map(({ span }) => kindOf(span)));
  const failed = found.spans.filter((span) => span.error).length;
  const total = scale.end - scale.start;
  return h(
    "section",
    { class: "card trace", "aria-label": "Trace" },
    h(
      "div",
      { class: "row" },
      h("h2", {}, "Trace"),
      h(
        "p",
        { class: "quiet" },
        `${found.spans.length}${found.truncated ? " or more" : ""} spans in ${duration(total / 1000)}`,
        failed ? h("span", { class: "badge failure" }, `${failed} failed`) : null,
        only ? link("Open the whole trace", "trace", { id: found.trace_id }) : null,
      ),
    ),
    h("p", { class: "legend" }, KINDS.filter(([kind]) => present.has(kind)).map(([kind, title]) => h("span", { class: `item kind-${kind}` }, title))),
    h("div", { class: "span head", "aria-hidden": "true" }, h("span", {}, "Span"), ticks(scale), h("span", { class: "number" }, "Duration")),
    h("div", { class: "spans" }, ordered.map(({ span, depth }) => row(span, depth, scale))),
  );
}

const kindOf = (span) => KINDS.find(([, , matches]) => matches(span))[0];

const startOf = (span) => Date.parse(span.started) + micros(span.started);
const endOf = (span) => startOf(span) + span.seconds * 1000;

/** Date.parse cuts a time to milliseconds; the rest as a part of a millisecond. */
function micros(time) {
  const digits = /\.(\d+)/.exec(time)?.[1] ?? "";
  return Number(`0.${digits.slice(3) || 0}`);
}

/** The spans with their depths: children follow their parent in the order of their starts. */
function tree(spans) {
  const ids = new Set(spans.map((span) => span.span_id));
  const children = new Map();
  for (const span of spans) {
    const parent = ids.has(span.parent_id) && span.parent_id !== span.span_id ? span.parent_id : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const ordered = [];
  const visit = (id, depth) => {
    const own = children.get(id) ?? [];
    children.delete(id);
    for (const span of own) {
      ordered.push({ span, depth });
      visit(span.span_id, depth + 1);
    }
  };
  visit("", 0);
  return ordered;
}

/** A linear axis of the times in which something runs; long gaps are cut to breaks. */
function axis(spans) {
  const busy = [];
  for (const span of [...spans].filter((each) => kindOf(each) !== "wait").sort((a, b) => startOf(a) - startOf(b))) {
    const last = busy.at(-1);
    if (last && startOf(span) <= last[1]) last[1] = Math.max(last[1], endOf(span));
    else busy.push([startOf(span), endOf(span)]);
  }
  if (!busy.length) busy.push([startOf(spans[0]), endOf(spans[0])]);
  const parts = [busy[0]];
  const active = busy.reduce((sum, [from, to]) => sum + to - from, 0);
  for (const part of busy.slice(1)) {
    const last = parts.at(-1);
    if (part[0] - last[1] > Math.max(20, 0.4 * active)) parts.push(part);
    else last[1] = Math.max(last[1], part[1]);
  }
  const length = parts.reduce((sum, [from, to]) => sum + to - from, 0) || 1;
  const gap = parts.length > 9 ? (WIDTH * 0.4) / (parts.length - 1) : BREAK;
  const room = WIDTH - gap * (parts.length - 1);
  let x = 0;
  const placed = parts.map(([from, to]) => {
    const part = { from, to, x, width: (room * (to - from)) / length };
    x += part.width + gap;
    return part;
  });
  const at = (time) => {
    for (const [index, part] of placed.entries()) {
      if (time <= part.to || index === placed.length - 1) {
        if (time >= part.from) return part.x + (part.width * Math.min(time - part.from, part.to - part.from)) / (part.to - part.from || 1);
        const before = placed[index - 1];
        if (!before) return 0;
        return before.x + before.width + (gap * (time - before.to)) / (part.from - before.to);
      }
    }
    return WIDTH;
  };
  return { at, placed, gap, start: parts[0][0], end: parts.at(-1)[1] };
}

function ticks(scale) {
  const marks = scale.placed.filter(({ width }) => width > 90).flatMap((part) => {
    const count = Math.max(1, Math.min(4, Math.floor(part.width / 220)));
    return Array.from({ length: count }, (_, n) => {
      const share = n / count;
      return s("text", { x: part.x + part.width * share + 4, y: 18, class: "tick" }, label(part.from + (part.to - part.from) * share - scale.start));
    });
  });
  return s("svg", { class: "lane", viewBox: `0 0 ${WIDTH} 26`, preserveAspectRatio: "xMinYMid meet" }, marks);
}

const label = (milliseconds) => (milliseconds < 0.05 ? "0" : duration(milliseconds / 1000));

function row(span, depth, scale) {
  const from = scale.at(startOf(span));
  const width = Math.max(3, scale.at(endOf(span)) - from);
  const kind = kindOf(span);
  const breaks = scale.placed.slice(1).map((part) =>
    s("rect", { class: "gap", x: part.x - scale.gap, y: 0, width: scale.gap, height: 20 }),
  );
  const lane = s(
    "svg",
    { class: "lane", viewBox: `0 0 ${WIDTH} 20`, preserveAspectRatio: "none", "aria-hidden": "true" },
    breaks,
    s("rect", { class: `fill kind-${kind}${span.error ? " failed" : ""}`, x: Math.min(from, WIDTH - 3), y: 4, width, height: 12, rx: 2 }),
  );
  return h(
    "details",
    { key: span.span_id, class: span.error ? "failed" : "" },
    h(
      "summary",
      { class: "span" },
      h("span", { class: `name depth-${Math.min(depth, 12)}` }, h("span", { class: `mark-of kind-${kind}`, "aria-hidden": "true" }), h("span", { class: "text", title: span.name }, span.name), span.error ? h("span", { class: "badge failure" }, "failed") : null),
      lane,
      h("span", { class: "number" }, duration(span.seconds)),
    ),
    details(span, scale),
  );
}

function details(span, scale) {
  const names = Object.keys(span.attributes);
  const ordered = [...FIRST.filter((name) => names.includes(name)), ...names.filter((name) => !FIRST.includes(name))];
  const shown = [
    span.error ? ["error", span.error] : null,
    ["started", `${exact(span.started)}, ${label(startOf(span) - scale.start)} after the beginning`],
    ["function or service", span.service],
    ...ordered.map((name) => [name, String(span.attributes[name])]),
  ].filter(Boolean);
  const linked = [...new Set(span.links)];
  return h(
    "dl",
    { class: "attributes" },
    shown.map(([name, value]) => [h("dt", {}, name), h("dd", { class: "wrap" }, name === "db.query.text" ? h("code", {}, value) : value)]),
    linked.length ? [h("dt", {}, "linked traces"), h("dd", {}, linked.map((id) => [link(id.slice(0, 8), "trace", { id }), " "]))] : null,
  );
}
