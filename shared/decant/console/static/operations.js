// Schedules, queues and dead letters.

import { act, confirm } from "./actions.js";
import { navigate, toast } from "./app.js";
import { get, post } from "./api.js";
import { ago, empty, h, href, link, number, table } from "./dom.js";
import { queueTable } from "./overview.js";

export function schedules(context) {
  const run = (action, key) => async () => {
    try {
      if (action === "run" && !(await confirm("Run now", `A task of ${key} is enqueued beside the ticks of the schedule.`, "Run now"))) return;
      const { task_id: id } = await post("schedules", { key, action });
      toast(action === "run" ? "The task is enqueued" : action === "pause" ? "The schedule is paused" : "The schedule is resumed");
      if (id) navigate(href("task", { id }));
      else context.refresh();
    } catch (error) {
      toast(error.message, "failed");
    }
  };
  const actions = (each) => [
    h("button", { key: "pause", on: { click: run(each.paused ? "resume" : "pause", each.key) }, "aria-label": `${each.paused ? "Resume" : "Pause"} ${each.key}` }, each.paused ? "Resume" : "Pause"),
    h("button", { key: "run", disabled: each.absent, on: { click: run("run", each.key) }, "aria-label": `Run ${each.key} now` }, "Run now"),
  ];
  const state = (each) => (each.paused ? ["paused", "paused"] : each.absent ? ["revoked", "not in the code"] : ["success", "active"]);
  const heads = ["Task", "Schedule", "State", "Last tick", "Next tick"];
  return {
    load: () => get("schedules", {}, context.signal),
    render: ({ schedules: found }) => [
      h("h1", {}, "Schedules"),
      found.length
        ? table(
            "Schedules",
            context.isAdmin ? [...heads, "Actions"] : heads,
            found.map((each) =>
              h(
                "tr",
                { key: each.key },
                h("td", {}, link(each.name, "tasks", { name: each.name })),
                h("td", {}, h("code", {}, each.definition)),
                h("td", {}, h("span", { class: `badge ${state(each)[0]}` }, state(each)[1])),
                h("td", { class: "number" }, ago(each.ticked_at)),
                h("td", { class: "number" }, ago(each.next)),
                context.isAdmin ? h("td", { class: "actions" }, actions(each)) : null,
              ),
            ),
          )
        : empty("No schedules", "A task with a schedule is listed after the next sweep."),
    ],
  };
}

export function queues(context) {
  const { signal } = context;
  const run = (action, name) => async () => {
    const text = "Tasks of the queue are enqueued and not started until it is resumed. Running tasks go on.";
    if (action === "pause" && !(await confirm(`Pause queue ${name}`, text, "Pause"))) return;
    try {
      await post("queues", { name, action });
      toast(`Queue ${name} is ${action}d`);
      context.refresh();
    } catch (error) {
      toast(error.message, "failed");
    }
  };
  const actions = (now) => (each) => {
    const action = now.paused.includes(each.queue) ? "resume" : "pause";
    const verb = action === "pause" ? "Pause" : "Resume";
    return h("button", { on: { click: run(action, each.queue) }, "aria-label": `${verb} ${each.queue}` }, verb);
  };
  return {
    load: async () => {
      const [now, past] = await Promise.all([get("overview", {}, signal), get("statistics", { window: "15m" }, signal)]);
      return { now, past };
    },
    render: ({ now, past }) => [h("h1", {}, "Queues"), queueTable(now, past, context.isAdmin ? actions(now) : null)],
  };
}

export function deadLetters(context) {
  const load = async () => {
    const found = [];
    let before;
    for (let part = 0; part < 5; part += 1) {
      const page = await get("tasks", { state: "dead", count: 200, before }, context.signal);
      found.push(...page.tasks);
      before = page.before;
      if (!before) break;
    }
    return { found, isPart: Boolean(before) };
  };
  const redrive = (conditions) => async () => {
    if (await act("redrive", { conditions })) context.refresh();
  };
  return {
    every: 5000,
    load,
    render: ({ found, isPart }) => {
      const groups = [...Map.groupBy(found, (each) => `${each.error_type ?? each.state} ${each.name}`).values()];
      groups.sort((one, other) => other.length - one.length);
      return [
        h("h1", {}, "Dead letters"),
        h("p", { class: "quiet" }, "Tasks that failed or were revoked, by their reason.", isPart ? ` The newest ${number(found.length)} are shown; actions apply to all.` : ""),
        groups.length
          ? table(
              "Dead letters",
              ["Reason", "Task", "Tasks", "Last", "Message", ...(context.isAdmin ? ["Actions"] : [])],
              groups.map((members) => {
                const [last] = members;
                const conditions = { state: last.state, name: last.name, ...(last.error_type ? { error: last.error_type } : {}) };
                return h(
                  "tr",
                  { key: `${last.error_type} ${last.name}` },
                  h("td", {}, h("b", {}, last.error_type ?? last.state.toLowerCase())),
                  h("td", {}, link(last.name, "tasks", conditions, { "data-row": true })),
                  h("td", { class: "number" }, `${number(members.length)}${isPart ? "+" : ""}`),
                  h("td", { class: "number" }, ago(last.date_done)),
                  h("td", { class: "error" }, last.error ?? ""),
                  context.isAdmin ? h("td", { class: "actions" }, h("button", { on: { click: redrive(conditions) }, "aria-label": `Redrive ${last.name} after ${last.error_type}` }, "Redrive")) : null,
                );
              }),
            )
          : empty("No dead letters", "No stored task has failed or was revoked."),
      ];
    },
  };
}
