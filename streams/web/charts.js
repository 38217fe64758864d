// Charts: lines over time with uPlot, in the colours of the page, and in words for those who do not see them.
/* global uPlot */

import { element } from "./elements.js";

const HEIGHT = 180;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A chart that keeps its lines when the page changes its width or its colours. */
export class Chart {
  /**
   * `lines` are {label, colour, dashed, fill}; `format` turns values into text; `zero` keeps 0 in sight;
   * `utc` says that times are event times.
   */
  constructor(place, lines, { format, zero = false, utc = false, empty = "waiting for numbers" }) {
    Object.assign(this, { place, lines, format, zero, utc, data: null, marks: [], hints: [], empty });
    place.setAttribute("role", "img");
    this.legend = element("ul", { className: "legend", "aria-hidden": "true" });
    place.after(this.legend);
    this.show(null);
    new ResizeObserver(() => this.plot?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.rebuild());
  }

  /** Show columns: seconds, then the values of each line; seconds at which a model drifted are `marks`, a feature `hints`. */
  show(data, marks = [], hints = []) {
    const had = this.data;
    this.data = data && data[0].length > 1 ? data : null;
    Object.assign(this, { marks, hints });
    if (this.data && had && this.plot) this.plot.setData(this.data);
    else this.rebuild();
    this.describe(this.plot?.cursor.idx ?? null);
  }

  rebuild() {
    this.plot?.destroy();
    this.plot = null;
    this.place.replaceChildren();
    if (this.data) this.plot = new uPlot(this.options(), this.data, this.place);
    else this.place.append(element("p", { className: "empty" }, this.empty));
  }

  /** Say the newest values, or those under the pointer. */
  describe(at = null) {
    const last = (column) => column.findLast((value) => value !== null && value !== undefined);
    const values = this.lines.map((_, line) => this.data && (at === null ? last(this.data[line + 1]) : this.data[line + 1][at]));
    const texts = values.map((value) => (value === null || value === undefined ? "–" : this.format(value)));
    const entries = this.lines.map((line, index) =>
      element("li", { className: `${line.colour.slice(2)} ${line.dashed ? "dashed" : ""}` }, line.label, element("b", {}, texts[index])),
    );
    if (at !== null) entries.push(element("li", { className: "at" }, this.moment(this.data[0][at])));
    this.legend.replaceChildren(...(this.data ? entries : []));
    if (at !== null) return;
    const said = this.data ? this.lines.map((line, index) => `${line.label} ${texts[index]}`).join(", ") : this.empty;
    this.place.setAttribute("aria-label", said);
  }

  /** Return a time of the chart in words: a day of event time, or the time of day here. */
  moment(seconds) {
    const date = new Date(seconds * 1000);
    if (!this.utc) return date.toLocaleTimeString("en-GB");
    return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });
  }

  options() {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    return {
      width: this.place.clientWidth,
      height: HEIGHT,
      tzDate: this.utc ? (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC") : undefined,
      cursor: { drag: { x: false, y: false }, points: { size: 6 } },
      legend: { show: false },
      scales: { y: { range: (_, low, high) => this.range(low, high) } },
      axes: [{ ...axis, size: 26, space: 80, values: (_, ticks) => ticks.map((tick) => this.moment(tick)) }, { ...axis, size: 46, values: (_, ticks) => ticks.map(this.format) }],
      series: [{}, ...this.lines.map((line) => this.series(line))],
      hooks: { draw: [(plot) => this.drawMarks(plot, this.hints, "--muted"), (plot) => this.drawMarks(plot, this.marks, "--bad")], setCursor: [(plot) => this.describe(plot.cursor.idx)] },
    };
  }

  series(line) {
    const stroke = colour(line.colour);
    return {
      label: line.label,
      stroke,
      width: line.dashed ? 1.5 : 2,
      dash: line.dashed ? [5, 4] : undefined,
      fill: line.fill ? `color-mix(in srgb, ${stroke} 14%, transparent)` : undefined,
      points: { show: false },
      spanGaps: true,
    };
  }

  range(low, high) {
    if (low === null || high === null) return [0, 1];
    const room = (high - low || Math.abs(high) || 1) * 0.12;
    return [this.zero ? 0 : low - room, high + room];
  }

  drawMarks(plot, marks, name) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour(name);
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    for (const at of marks) {
      const x = Math.round(plot.valToPos(at, "x", true));
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }
}
