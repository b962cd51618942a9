// Plots of the statistics, as SVG.

import { duration, exact, h, number, s } from "./dom.js";

const WIDTH = 420;
const HEIGHT = 150;
const LEFT = 52;
const BOTTOM = 22;
const TOP = 8;

function frame(data, title, summary, highest, format, marks) {
  const ticks = [0, 0.5, 1].map((share) => share * highest);
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / highest);
  const start = Date.parse(data.since);
  const span = Date.parse(data.until) - start;
  const times = [0, 0.5, 1].map((share) => new Date(start + share * span));
  const clock = new Intl.DateTimeFormat(undefined, span > 90_000_000 ? { weekday: "short", hour: "2-digit" } : { hour: "2-digit", minute: "2-digit" });
  const anchors = ["start", "middle", "end"];
  return h(
    "figure",
    { class: "card chart" },
    h("figcaption", {}, h("span", { class: "title" }, title), summary),
    s(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}, ${times.map((t) => clock.format(t)).join(" to ")}` },
      ticks.map((tick) => [
        s("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick) }),
        s("text", { class: "axis", x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, format(tick)),
      ]),
      marks(y),
      times.map((time, index) =>
        s("text", { class: "axis", x: LEFT + (WIDTH - LEFT) * index * 0.5, y: HEIGHT - 5, "text-anchor": anchors[index] }, clock.format(time)),
      ),
    ),
  );
}

const legend = (items) =>
  h("span", { class: "legend" }, items.map(([name, kind, value]) => h("span", { class: `item ${kind}` }, `${name} `, h("b", {}, value))));

/** Round up to 1, 2 or 5 times a power of ten. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((step) => value <= step * power);
}

const position = (data) => {
  const start = Date.parse(data.since);
  const span = Date.parse(data.until) - start;
  return (time) => LEFT + ((WIDTH - LEFT) * (time - start)) / span;
};

/** Finished tasks by period, stacked by their state. */
export function throughput(data) {
  const highest = nice(Math.max(4, ...data.periods.map((each) => each.succeeded + each.failed + each.revoked)));
  const x = position(data);
  const { succeeded, failed, revoked } = data.total;
  const items = [["succeeded", "success", number(succeeded)], ["failed", "failure", number(failed)]];
  if (revoked) items.push(["revoked", "revoked", number(revoked)]);
  return frame(data, "Finished tasks", legend(items), highest, (value) => number(Math.round(value)), (y) =>
    data.periods.map((each) => {
      const time = Date.parse(each.since);
      const from = Math.max(LEFT, x(time) + 1);
      const width = Math.max(1, x(time + data.seconds * 1000) - 1 - from);
      let below = 0;
      const bars = [["success", each.succeeded], ["failure", each.failed], ["revoked", each.revoked]].map(([kind, count]) => {
        const bar = s("rect", { class: `fill ${kind}`, x: from, width: Math.max(0, Math.min(width, WIDTH - from)), y: y(below + count), height: y(below) - y(below + count) });
        below += count;
        return count ? bar : null;
      });
      const label = `${exact(each.since)}: ${number(each.succeeded)} succeeded, ${number(each.failed)} failed`;
      return s("g", {}, s("title", {}, label), bars);
    }),
  );
}

/** Percentiles of a time, on a logarithmic axis. */
export function latency(data, kind, title) {
  const known = data.periods.filter((each) => each[kind]);
  const values = known.flatMap((each) => each[kind]).filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(0.01, ...values)));
  const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(0.1, ...values))));
  const level = (value) => Math.max(0, Math.log10(Math.max(value, 10 ** low)) - low) / (high - low);
  const x = position(data);
  const total = data.total[kind] ?? [null, null, null];
  const names = ["p50", "p95", "p99"];
  const items = names.map((name, index) => [name, name, duration(total[index])]);
  return frame(data, title, legend(items), 1, (share) => axisTime(10 ** (low + share * (high - low))), (y) =>
    names.map((name, index) => {
      const points = known.map((each) => [
        Math.min(WIDTH - 3, Math.max(LEFT + 3, x(Date.parse(each.since) + data.seconds * 500))),
        y(level(each[kind][index])),
      ]);
      return s(
        "g",
        { class: `line ${name}` },
        s("polyline", { points: points.map((point) => point.map((each) => each.toFixed(1)).join()).join(" ") }),
        points.map(([cx, cy], place) =>
          s("circle", { cx, cy, r: points.length > 40 ? 1.5 : 2.5 }, s("title", {}, `${exact(known[place].since)}: ${name} ${duration(known[place][kind][index])}`)),
        ),
      );
    }),
  );
}

function axisTime(seconds) {
  if (seconds < 1) return `${+(seconds * 1000).toPrecision(1)} ms`;
  return seconds < 1000 ? `${+seconds.toPrecision(1)} s` : duration(seconds);
}
