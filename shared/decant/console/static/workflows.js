// Lists of workflows and runs, and the graph of a workflow.

import { get } from "./api.js";
import { ago, badge, empty, h, href, link, number, s, shortName, table } from "./dom.js";

const KINDS = [["canvas", "Chains, groups and chords"], ["run", "Runs of workflow functions"]];
const CARD = 190;
const CELL = 13;
const LEAST_PER_ROW = 13;
const MOST_PER_ROW = 42;
const GAP = 16;
const BETWEEN = 60; // columns
const LINE = 54;
const GROUPED_FROM = 4;

export function workflows({ parameters, signal }) {
  const kind = parameters.kind === "run" ? "run" : "canvas";
  return {
    load: () => get("workflows", { kind, before: parameters.before }, signal),
    render: ({ workflows: found }) => [
      h("h1", {}, "Workflows"),
      h("div", { class: "segments", role: "group", "aria-label": "Kind" }, KINDS.map(([name, title]) => link(title, "workflows", { kind: name }, { "aria-current": name === kind ? "true" : null }))),
      found.length
        ? table(
            "Workflows",
            ["Workflow", "Tasks", "Created"],
            found.map((each) =>
              h(
                "tr",
                { key: each.id },
                h("td", {}, link(each.name, kind === "run" ? "task" : "workflow", { id: each.id }, { "data-row": true }), h("span", { class: "id" }, each.id.slice(-12))),
                h("td", {}, Object.entries(each.tasks).map(([state, count]) => [badge(state), kind === "run" ? null : ` ${number(count)} `])),
                h("td", { class: "number" }, ago(each.date_created)),
              ),
            ),
          )
        : empty("No workflows", kind === "run" ? "A run is listed when it has recorded a step." : "A chain, group or chord is listed when it is enqueued."),
      h(
        "nav",
        { class: "row pages", "aria-label": "Pages" },
        parameters.before ? link("Newest", "workflows", { kind }, { class: "button" }) : null,
        found.length === 20 ? link("Older", "workflows", { kind, before: found.at(-1).id }, { class: "button" }) : null,
      ),
    ],
  };
}

export function workflow({ parameters, signal }) {
  return {
    every: 2000,
    load: () => get(`workflows/${parameters.id}`, {}, signal),
    render: ({ nodes }) => {
      const counts = Map.groupBy(nodes, (node) => node.state);
      return [
        h("h1", {}, "Workflow"),
        h("p", { class: "quiet wrap" }, h("code", {}, parameters.id)),
        h("p", { class: "row" }, [...counts].map(([state, members]) => h("span", { key: state }, badge(state), ` ${number(members.length)}`))),
        h("div", { class: "card scroll graph", tabindex: "0", role: "region", "aria-label": "Graph of the workflow" }, graph(nodes)),
      ];
    },
  };
}

/** Tasks of the same name and parents are one group; each level of the graph is a column. */
function graph(nodes) {
  const levels = new Map();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const levelOf = (node) => {
    const stack = [node];
    while (stack.length) {
      const top = stack.at(-1);
      const parents = top.parents.map((id) => byId.get(id)).filter(Boolean);
      const missing = parents.filter((parent) => !levels.has(parent.id));
      if (missing.length) stack.push(...missing);
      else {
        levels.set(top.id, parents.reduce((level, parent) => Math.max(level, levels.get(parent.id) + 1), 0));
        stack.pop();
      }
    }
  };
  nodes.forEach(levelOf);
  const key = (node) => `${levels.get(node.id)} ${node.name} ${node.parents.length > 8 ? node.parents.length : node.parents.join()}`;
  const groups = [];
  for (const [name, members] of Map.groupBy(nodes, key)) {
    if (members.length >= GROUPED_FROM) groups.push({ key: name, members });
    else members.forEach((member) => groups.push({ key: member.id, members: [member] }));
  }
  const groupOf = new Map(groups.flatMap((group) => group.members.map((member) => [member.id, group])));
  const heights = [];
  const widths = [];
  for (const group of groups) {
    group.level = levels.get(group.members[0].id);
    group.perRow = Math.min(MOST_PER_ROW, Math.max(LEAST_PER_ROW, Math.ceil(Math.sqrt(group.members.length * 1.5))));
    group.width = group.members.length > 1 ? Math.max(CARD, group.perRow * CELL + 20) : CARD;
    group.height = group.members.length > 1 ? LINE + Math.ceil(group.members.length / group.perRow) * CELL : LINE;
    group.y = 10 + (heights[group.level] ?? 0);
    heights[group.level] = (heights[group.level] ?? 0) + group.height + GAP;
    widths[group.level] = Math.max(widths[group.level] ?? 0, group.width);
  }
  const lefts = widths.map((_, level) => widths.slice(0, level).reduce((sum, each) => sum + each + BETWEEN, 10));
  const height = Math.max(...heights) + 10;
  for (const group of groups) {
    group.x = lefts[group.level];
    group.y += (height - 10 - heights[group.level]) / 2;
  }
  const edges = new Map();
  for (const node of nodes) {
    for (const id of node.parents) {
      const from = groupOf.get(id);
      const to = groupOf.get(node.id);
      if (from) edges.set(`${from.key} ${to.key}`, [from, to]);
    }
  }
  const width = lefts.at(-1) + widths.at(-1) + 10;
  return s(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${nodes.length} tasks` },
    [...edges.values()].map(([from, to]) => {
      const [x1, y1, x2, y2] = [from.x + from.width, from.y + from.height / 2, to.x, to.y + to.height / 2];
      return s("path", { class: "edge", d: `M${x1},${y1} C${x1 + 30},${y1} ${x2 - 30},${y2} ${x2},${y2}` });
    }),
    groups.map((group) => (group.members.length > 1 ? many(group) : single(group))),
  );
}

const label = (node) => `${node.name}, ${node.state.toLowerCase()}${node.error ? `, ${node.error}` : ""}`;

function single(group) {
  const [node] = group.members;
  return s(
    "a",
    { key: node.id, href: href("task", { id: node.id }), "aria-label": label(node), class: `node ${node.state.toLowerCase()}` },
    s("title", {}, label(node)),
    s("rect", { x: group.x, y: group.y, width: CARD, height: group.height, rx: 8 }),
    s("rect", { class: "stripe", x: group.x, y: group.y + 8, width: 4, height: group.height - 16, rx: 2 }),
    s("text", { x: group.x + 14, y: group.y + 23 }, clipped(shortName(node.name))),
    s("text", { class: "small", x: group.x + 14, y: group.y + 41 }, node.state.toLowerCase() + (node.retries ? ` · ${node.retries} retries` : "")),
  );
}

function many(group) {
  const done = group.members.filter((node) => node.state === "SUCCESS").length;
  return s(
    "g",
    { key: group.key, class: "node" },
    s("rect", { x: group.x, y: group.y, width: group.width, height: group.height, rx: 8 }),
    s("text", { x: group.x + 10, y: group.y + 20 }, clipped(shortName(group.members[0].name))),
    s("text", { class: "small", x: group.x + 10, y: group.y + 37 }, `${number(done)} of ${number(group.members.length)} succeeded`),
    group.members.map((node, index) =>
      s(
        "a",
        { key: node.id, href: href("task", { id: node.id }), "aria-label": label(node), class: `cell ${node.state.toLowerCase()}` },
        s("title", {}, label(node)),
        s("rect", { x: group.x + 10 + (index % group.perRow) * CELL, y: group.y + 45 + Math.floor(index / group.perRow) * CELL, width: CELL - 2, height: CELL - 2, rx: 2 }),
      ),
    ),
  );
}

const clipped = (text) => (text.length > 22 ? `${text.slice(0, 21)}…` : text);
