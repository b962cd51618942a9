// Build and update elements. A view renders a tree; `update` changes the document to it, so that a poll keeps the
// focus, the selection and the scroll position.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "indeterminate", "selected"]);
const handlers = new WeakMap();

function listen(event) {
  handlers.get(event.currentTarget)?.[event.type]?.(event);
}

function setHandlers(node, on) {
  const before = handlers.get(node) ?? {};
  for (const type of Object.keys(on)) {
    if (!(type in before)) node.addEventListener(type, listen);
  }
  handlers.set(node, { ...Object.fromEntries(Object.keys(before).map((type) => [type, undefined])), ...on });
}

function make(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") setHandlers(node, value);
    else if (name === "key") node.dataset.key = value;
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Make an HTML element: attributes, `on` with event handlers, `key` that identifies it among its siblings. */
export const h = (tag, props, ...children) => make(document.createElement(tag), props, children);

/** Make an SVG element. */
export const s = (tag, props, ...children) => make(document.createElementNS(SVG, tag), props, children);

/** Change the children of an element to those of a new tree. */
export function update(parent, ...fresh) {
  const keyed = new Map();
  for (const node of parent.childNodes) if (node.dataset?.key) keyed.set(node.dataset.key, node);
  let at = parent.firstChild;
  for (const value of fresh) {
    const next = value instanceof Node ? value : document.createTextNode(value);
    const key = next.dataset?.key;
    let old = key ? keyed.get(key) : at;
    if (old && !key && old.dataset?.key) old = null;
    if (old && isAlike(old, next)) {
      if (old !== at) parent.insertBefore(old, at);
      else at = at.nextSibling;
      morph(old, next);
    } else {
      parent.insertBefore(next, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function isAlike(old, next) {
  return old.nodeType === next.nodeType && old.nodeName === next.nodeName && old.dataset?.key === next.dataset?.key;
}

function morph(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  setHandlers(old, handlers.get(next) ?? {});
  update(old, ...next.childNodes);
  if (old !== document.activeElement) {
    for (const name of PROPERTIES) if (name in next && old[name] !== next[name]) old[name] = next[name];
  }
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** A duration with its largest units: `840 ms`, `2.4 s`, `3 min 20 s`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds > 0.00005 && seconds < 0.0095) return `${(seconds * 1000).toFixed(1)} ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const first = UNITS.findIndex(([, length]) => seconds >= length);
  const [unit, length] = UNITS[first];
  const rest = UNITS[first + 1];
  const remainder = rest ? Math.floor((seconds % length) / rest[1]) : 0;
  return `${Math.floor(seconds / length)} ${unit}${remainder && first > 0 ? ` ${remainder} ${rest[0]}` : ""}`;
}

const stamp = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A time relative to now, with the full time as its title. */
export function ago(time) {
  if (!time) return h("span", { class: "quiet" }, "–");
  const seconds = (Date.now() - Date.parse(time)) / 1000;
  const text = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `${whole(seconds)} ago` : `in ${whole(-seconds)}`;
  return h("time", { datetime: time, title: stamp.format(new Date(time)) }, text);
}

function whole(seconds) {
  const [unit, length] = UNITS.find(([, each]) => seconds >= each) ?? UNITS[3];
  return `${Math.floor(seconds / length)} ${unit}`;
}

export const exact = (time) => (time ? stamp.format(new Date(time)) : "–");

export const number = (value) => value.toLocaleString();

/** The last part of a task's name, after its modules. */
export const shortName = (name) => name.slice(name.lastIndexOf(".") + 1);

/** The state of a task. */
export const badge = (state) => h("span", { class: `badge ${state.toLowerCase()}` }, state.toLowerCase());

/** A link to a view, whose parameters are the query of the URL. */
export const href = (view, parameters = {}) =>
  `?${new URLSearchParams({ view, ...Object.fromEntries(Object.entries(parameters).filter(([, value]) => value)) })}`;

export const link = (text, view, parameters, props) => h("a", { href: href(view, parameters), ...props }, text);

export const empty = (title, text) => h("div", { class: "empty" }, h("p", { class: "title" }, title), h("p", {}, text));

export function table(label, heads, rows) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, heads.map((head) => (head instanceof Node ? head : h("th", { scope: "col" }, head))))),
      h("tbody", {}, rows),
    ),
  );
}
