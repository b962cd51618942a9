// Actions on tasks: confirmation, and progress over several requests.

import { toast } from "./app.js";
import { get, post } from "./api.js";
import { h, number } from "./dom.js";

export const ACTIONS = {
  retry: ["Run now", "Tasks that wait for a time or for their next attempt are run now."],
  cancel: ["Cancel", "Waiting tasks are revoked. Running tasks are cancelled at the next heartbeat of their worker."],
  redrive: ["Redrive", "Failed and revoked tasks run again with all their retries, and workflows as a whole."],
};

/** Ask for a confirmation; resolves to whether it was given. `count` may be a promise. */
export function confirm(title, text, verb, count) {
  const counted = h("p", { class: "count", role: "status" }, count ? "Counting…" : "");
  const yes = h("button", { class: "primary", value: "yes", disabled: Boolean(count) }, verb);
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" },
    h(
      "form",
      { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      counted,
      h("p", { id: "dialog-text" }, text),
      h("div", { class: "buttons" }, h("button", { value: "no" }, "Leave as it is"), yes),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  Promise.resolve(count).then(
    (value) => {
      if (value === undefined) return;
      counted.textContent = value === 1 ? "1 task" : `${number(value)} tasks`;
      yes.disabled = value === 0;
      if (value) yes.focus();
    },
    (error) => (counted.textContent = error.message),
  );
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    }),
  );
}

/** Count the tasks that meet conditions, part by part. */
async function countAll(conditions) {
  let total = 0;
  let before = null;
  do {
    const part = await get("tasks/count", { ...conditions, before });
    total += part.count;
    before = part.before;
  } while (before);
  return total;
}

/** Confirm an action on tasks that are given by `ids` or `conditions`, and do it. */
export async function act(action, { ids, conditions }) {
  const [verb, text] = ACTIONS[action];
  const count = ids ? ids.length : countAll(conditions);
  const title = ids ? `${verb}: ${ids.length === 1 ? "this task" : "the selected tasks"}` : `${verb}: all tasks that match`;
  if (!(await confirm(title, text, verb, count))) return false;
  let changed = 0;
  let before = null;
  try {
    do {
      const body = { action, terminate: action === "cancel", ...(ids ? { ids } : { conditions, before }) };
      const part = await post("tasks/actions", body);
      changed += part.changed;
      before = part.before;
    } while (before);
    toast(`${verb}: ${changed === 1 ? "1 task" : `${number(changed)} tasks`} changed`);
  } catch (error) {
    toast(`${verb}: ${error.message} ${number(changed)} tasks were changed before.`, "failed");
  }
  return true;
}
