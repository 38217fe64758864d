// Who stays: active customers, churn, and what share of each week's newcomers is still there.

import { Chart } from "./charts.js";
import { amount, byId, element, percent, short, whole, words } from "./elements.js";

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const COHORTS = 10;
const WEEKS = 9;
const rate = (value) => `${(value * 100).toFixed(1)} %`;
const day = (ms) => new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** The part of the page about retention; hidden until the first day has ended. */
export class Retention {
  constructor() {
    const options = { utc: true, zero: true, empty: "the first full days will show here" };
    const line = (label, colour) => ({ label, colour });
    this.active = new Chart(byId("active"), [line("day", "--first"), line("week", "--second"), line("month", "--third")], { format: short, ...options });
    this.churned = new Chart(byId("churned"), [line("churn a day", "--bad")], { format: rate, ...options });
  }

  /** Show boards, a day each. */
  show(found) {
    const boards = found.sort((one, other) => one.event_time - other.event_time);
    byId("retention").hidden = !boards.length;
    const newest = boards.at(-1);
    if (!newest) return;
    const seconds = boards.map((board) => board.event_time / 1000);
    const column = (read) => boards.map(read);
    this.active.show([seconds, column((one) => one.daily), column((one) => one.weekly), column((one) => one.monthly)]);
    this.churned.show([seconds, column((one) => (one.at_stake ? one.churned / one.at_stake : null))]);
    byId("retention-note").textContent = `At the end of ${day(newest.event_time - 1)}, customers only. Horizon: ${whole(newest.horizon_ms / DAY_MS)} days of silence.`;
    this.standing(newest);
    this.cohorts(boards);
  }

  standing(board) {
    const stages = Object.entries(board.stages).map(([name, count]) => [words(name), short(count)]);
    const facts = [
      ["customers", short(board.users)],
      ["stickiness", board.monthly ? percent(board.daily / board.monthly) : "–"],
      ["new", short(board.fresh)],
      ...stages.filter(([name]) => name !== "new"),
      ["expected value", amount(Math.round(board.expected_value))],
    ];
    byId("standing").replaceChildren(
      ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
  }

  /** A row for each week's newcomers: the share active in the last 7 days, as their later weeks ended. */
  cohorts(boards) {
    const weeks = boards.at(-1).cohorts.slice(-COHORTS);
    const after = (week, age) => boards.find((board) => board.event_time === week + (age + 1) * WEEK_MS);
    const rows = weeks.map(({ week, size }) => {
      const cells = Array.from({ length: WEEKS }, (_, age) => {
        const cohort = after(week, age)?.cohorts.find((one) => one.week === week);
        return element("td", { className: "number" }, cohort?.size ? percent(cohort.active / cohort.size) : "");
      });
      return element("tr", {}, element("th", { scope: "row" }, `week of ${day(week)}`), element("td", { className: "number" }, whole(size)), ...cells);
    });
    const ages = Array.from({ length: WEEKS }, (_, age) => element("th", { scope: "col", className: "number" }, age ? `+${age}` : "same week"));
    const table = byId("retention").querySelector("table");
    table.tHead.replaceChildren(element("tr", {}, element("th", { scope: "col" }, "First seen"), element("th", { scope: "col", className: "number" }, "Known now"), ...ages));
    table.tBodies[0].replaceChildren(...rows.reverse());
  }
}
