// What is tried: variants of lists side by side, and how far each lies from the control.

import { byId, element, percent, whole, words } from "./elements.js";
import { ask } from "./stream.js";

const AGAIN_MS = 10_000;
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 160;
const HEIGHT = 14;
const VERDICTS = { better: "better", worse: "worse", open: "no difference shown" };
const COLUMNS = 8;

const points = (value) => `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)}`;

/** The part of the page about experiments; hidden until a user's window is over. */
export class Experiments {
  /** Ask now and every few seconds, as long as `wanted` says so. */
  constructor(wanted) {
    this.wanted = wanted;
    setInterval(() => this.look(), AGAIN_MS);
  }

  async look() {
    if (!this.wanted()) return;
    // Whether there is a connection, or a token is missing, is said by the stream.
    const found = await ask("v1/experiments").catch(() => null);
    if (found) this.show(found);
  }

  show({ alpha, experiments }) {
    const part = byId("experiments");
    part.hidden = !experiments.length;
    byId("experiments-note").textContent = `Rates are of users whose window is over. Intervals of ${percent(1 - alpha)} hold whenever one looks.`;
    part.querySelector("table").replaceChildren(...[...part.querySelectorAll("caption, thead")], ...experiments.map(rowsOf));
  }
}

function rowsOf(experiment) {
  const uneven = experiment.uneven ? " – users are shared out unevenly: something is wrong" : "";
  const title = element("tr", { className: "group" }, element("th", { scope: "rowgroup", colSpan: COLUMNS }, `${experiment.name}${uneven}`));
  const widest = Math.max(0.01, ...experiment.variants.flatMap(({ measures }) => Object.values(measures).flatMap((one) => [Math.abs(one.difference_low ?? 0), Math.abs(one.difference_high ?? 0)])));
  const rows = experiment.variants.flatMap((variant) => Object.entries(variant.measures).map(([name, measure], at) => rowOf(variant, name, measure, at, widest)));
  return element("tbody", {}, title, ...rows);
}

function rowOf(variant, name, measure, at, widest) {
  const compared = !variant.control && measure.difference !== null;
  const number = (text) => element("td", { className: "number" }, text);
  const verdict = variant.control ? "control" : compared ? VERDICTS[measure.verdict] : "–";
  return element(
    "tr",
    {},
    at ? element("td") : element("th", { scope: "row" }, variant.name),
    element("td", {}, words(name)),
    number(whole(measure.users)),
    number(measure.rate === null ? "–" : percent(measure.rate)),
    number(compared ? points(measure.difference) : ""),
    number(compared ? `${points(measure.difference_low)} to ${points(measure.difference_high)}` : ""),
    element("td", {}, compared ? bar(measure, widest) : ""),
    element("td", {}, element("span", { className: `tag ${compared ? measure.verdict : ""}` }, verdict)),
  );
}

/** Return the interval as a bar around zero, for the eye only: the cells before it say the same. */
function bar({ difference, difference_low: low, difference_high: high, verdict }, widest) {
  const x = (value) => ((value / widest + 1) / 2) * (WIDTH - 4) + 2;
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: `interval ${verdict}`, "aria-hidden": "true" });
  picture.append(
    drawn("line", { x1: x(0), x2: x(0), y1: 0, y2: HEIGHT }),
    drawn("rect", { x: x(low), width: Math.max(1, x(high) - x(low)), y: HEIGHT / 2 - 2, height: 4, rx: 2 }),
    drawn("circle", { cx: x(difference), cy: HEIGHT / 2, r: 4 }),
  );
  return picture;
}

function drawn(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}
