// The console: takes what the stream brings and shows it; draws at most a few times a second.

import { Chart } from "./charts.js";
import { amount, byId, element, lookupLink, percent, share, short, time, whole, words } from "./elements.js";
import { Experiments } from "./experiments.js";
import { close, lookUp } from "./lookup.js";
import { Retention } from "./retention.js";
import { ask, follow, keepToken } from "./stream.js";

const DRAW_MS = 500;
const SAMPLES = 600;
const ALERTS = 200;
const SHOWN = 60;
const RATE_OVER = 5;

const known = { samples: [], alerts: new Map(), points: new Map(), boards: new Map() };
let paused = false;
let changed = new Set();

const handlers = {
  samples(found) {
    const newest = known.samples.at(-1)?.time ?? 0;
    known.samples.push(...found.filter((sample) => sample.time > newest));
    known.samples.splice(0, Math.max(0, known.samples.length - SAMPLES));
    changed.add("samples");
  },
  alerts(found) {
    for (const alert of found) known.alerts.set(alert.id, alert);
    for (const id of [...known.alerts.keys()].slice(0, Math.max(0, known.alerts.size - ALERTS))) known.alerts.delete(id);
    changed.add("alerts");
  },
  models(found) {
    for (const point of found) known.points.set(point.model_version, point);
    changed.add("models");
  },
  boards(found) {
    for (const board of found) known.boards.set(board.event_time, board);
    changed.add("boards");
  },
};

const charts = {};
let retention = null;
let experiments = null;

function build() {
  retention = new Retention();
  experiments = new Experiments(() => !paused && !document.hidden && byId("gate").hidden);
  const waiting = { empty: "labels mature after the horizon; the first model comes then" };
  charts.rate = new Chart(byId("rate"), [{ label: "events", colour: "--first", fill: true }, { label: "rejected", colour: "--bad" }], { format: short, zero: true });
  charts.lag = new Chart(byId("lag"), [
    { label: "events", colour: "--first", fill: true },
    { label: "item pairs", colour: "--second" },
    { label: "examples", colour: "--third" },
  ], { format: short, zero: true });
  charts.auc = new Chart(byId("auc"), [{ label: "model", colour: "--first" }, { label: "chance", colour: "--base", dashed: true }], { format: share, utc: true, ...waiting });
  charts.loss = new Chart(byId("loss"), [{ label: "model", colour: "--first" }, { label: "base rate", colour: "--base", dashed: true }], { format: share, utc: true, ...waiting });
  charts.hits = new Chart(byId("hits"), [{ label: "lists", colour: "--first" }, { label: "what is popular", colour: "--base", dashed: true }], { format: share, empty: "no list has been judged yet" });
}

const judged = ({ counters }) => counters.accepted + counters.duplicates + rejected({ counters });
const rejected = ({ counters }) => Object.values(counters.rejected).reduce((sum, count) => sum + count, 0);
const alerted = ({ counters }) => Object.values(counters.alerts).reduce((sum, count) => sum + count, 0);

/** Return how fast a count grows around each sample; a worker that came or went leaves a gap, not a leap. */
function rates(count) {
  return known.samples.map((sample, at, all) => {
    const before = all[Math.max(0, at - RATE_OVER)];
    const seconds = (sample.time - before.time) / 1000;
    const grown = count(sample) - count(before);
    return seconds > 0 && before.workers === sample.workers && grown >= 0 ? grown / seconds : null;
  });
}

function drawSamples() {
  const { samples } = known;
  const now = samples.at(-1);
  if (!now) return;
  const seconds = samples.map((sample) => sample.time / 1000);
  const events = rates(judged);
  charts.rate.show([seconds, events, rates(rejected)]);
  const lag = (...agents) => samples.map((one) => agents.reduce((sum, agent) => sum + (one.lag[agent] ?? 0), 0));
  charts.lag.show([seconds, lag("users"), lag("items"), lag("trainer", "ranker")]);
  const quality = (name) => samples.map((one) => one.lists[name] ?? null);
  const hits = quality("lists_hit_rate@20");
  charts.hits.show(hits.some((value) => value !== null) ? [seconds, hits, quality("popularity_hit_rate@20")] : null);
  showWinback(now.winback);
  showState(now);
  showFacts(now, events.at(-1));
}

function showWinback(actions) {
  byId("winback").hidden = !actions.length;
  const points = (value) => (value === null ? "–" : `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)}`);
  const rows = actions.map((one) => {
    const interval = one.low === null ? "–" : `${points(one.low)} to ${points(one.high)}`;
    const cells = [whole(one.outcomes), percent(one.return_rate), points(one.uplift), interval, one.spend === null ? "–" : amount(one.spend)];
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, words(one.action)),
      ...cells.map((text) => element("td", { className: "number" }, text)),
    );
  });
  byId("winback").querySelector("tbody").replaceChildren(...rows);
}

function showState(now) {
  const workers = now.workers === 1 ? "1 worker" : `${now.workers} workers`;
  const ready = now.ready === now.workers;
  say(ready ? "ok" : "wrong", ready ? `${workers}, ready` : `${workers}, ${now.ready} ready`);
  byId("clock").textContent = now.clock ? `the newest event is from ${time(now.clock)} UTC` : "no event yet";
}

function showFacts(now, rate) {
  const waiting = Object.values(now.lag).reduce((sum, records) => sum + records, 0);
  const facts = [
    ["events/s", rate === null ? "–" : short(rate)],
    ["events so far", short(judged(now))],
    ["waiting", short(waiting)],
    ["users", short(now.users)],
    ["items", short(now.items)],
    ["lists", short(now.counters.lists)],
    ["alerts", short(alerted(now))],
    ["rejected", short(rejected(now))],
  ];
  byId("facts").replaceChildren(
    ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", { "data-fact": name }, value))),
  );
}

function drawModels() {
  const points = [...known.points.values()].sort((one, other) => one.event_time - other.event_time || one.examples - other.examples);
  const seconds = points.map((point) => point.event_time / 1000);
  const column = (name) => points.map((point) => point.metrics[`churn_${name}`] ?? null);
  const grew = (name) => seconds.filter((_, at) => at > 0 && points[at].metrics[name] > points[at - 1].metrics[name]);
  const [marks, hints] = [grew("churn_drifts"), grew("features_drifts")];
  charts.auc.show([seconds, column("auc"), points.map(() => 0.5)], marks, hints);
  charts.loss.show([seconds, column("log_loss"), column("log_loss_base_rate")], marks, hints);
  const newest = points.at(-1);
  if (!newest) return;
  const labels = `${newest.model_version} has learned ${whole(newest.examples)} labels, ${percent(newest.metrics.churn_base_rate ?? 0)} of the latest left.`;
  const total = newest.metrics.churn_drifts ?? 0;
  const moved = newest.metrics.features_drifts ?? 0;
  const features = moved ? `Changes of what users do: ${whole(moved)}, in grey.` : "";
  byId("drifts").textContent = `${labels} ${total ? `Drifts found: ${whole(total)}, those in sight are marked in red.` : "No drift found."} ${features}`;
}

let shownAlerts = new Set();

function drawAlerts() {
  const alerts = [...known.alerts.values()].slice(-SHOWN).reverse();
  byId("alerts-note").textContent = alerts.length ? "Newest first; a name leads to everything that is known." : "No alert yet.";
  byId("alerts").tBodies[0].replaceChildren(...alerts.map(alertRow));
  shownAlerts = new Set(alerts.map((alert) => alert.id));
}

function alertRow(alert) {
  return element(
    "tr",
    { className: shownAlerts.size && !shownAlerts.has(alert.id) ? "new" : "" },
    element("td", { className: "when" }, time(alert.event_time)),
    element("td", {}, lookupLink("users", alert.user_id)),
    element("td", { className: "risk" }, percent(alert.probability)),
    element("td", { className: "why" }, ...alert.reasons.map((reason) => element("span", {}, reason))),
    element("td", {}, element("span", { className: "tag" }, words(alert.action))),
  );
}

function say(state, text) {
  const place = byId("state");
  place.className = state;
  const words = place.querySelector(".text");
  if (words.textContent !== text) words.textContent = text;
}

function draw() {
  if (paused || document.hidden) return;
  const [parts, drawers] = [changed, { samples: drawSamples, alerts: drawAlerts, models: drawModels, boards: () => retention.show([...known.boards.values()]) }];
  changed = new Set();
  for (const part of parts) drawers[part]();
}

function told(error) {
  byId("gate").hidden = error?.status !== 401 && error?.status !== 403;
  byId("token-form").hidden = error?.status === 403;
  if (!error) return;
  say("wrong", error.status ? error.message : "no connection; trying again");
  byId("gate-title").textContent = error.status === 403 ? "This worker does not answer" : "This worker asks for a token";
  byId("gate-why").textContent = error.message;
  if (error.status === 401) byId("token").focus();
}

const alertsOf = (subject) => [...known.alerts.values()].filter((alert) => alert.subject === subject).reverse().slice(0, 5);

function route() {
  const [, kind, id] = /^#(users|items)=(.+)$/.exec(location.hash) ?? [];
  if (kind) lookUp(kind, decodeURIComponent(id), alertsOf);
  else close();
}

function listen() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const hash = `#${byId("kind").value}=${encodeURIComponent(byId("id").value.trim())}`;
    if (location.hash === hash) route();
    else location.hash = hash;
  });
  byId("kind").addEventListener("change", () => {
    byId("id").placeholder = byId("kind").value === "users" ? "id of a user" : "id of an item";
  });
  byId("pause").addEventListener("click", (event) => {
    paused = !paused;
    event.target.setAttribute("aria-pressed", String(paused));
    draw();
  });
  byId("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    keepToken(byId("token").value.trim());
    byId("token").value = "";
    begin();
  });
  addEventListener("hashchange", route);
  document.addEventListener("visibilitychange", draw);
  setInterval(draw, DRAW_MS);
}

let turn = 0;

/** Begin to follow; what an earlier attempt with another token still says is not heard. */
function begin() {
  const mine = ++turn;
  follow("v1/stream", handlers, (error) => mine === turn && told(error));
  route();
  experiments.look();
  ask("v1/status").then((status) => (byId("version").textContent = `Keepstream ${status.version}, ${status.group}`), () => {});
}

build();
listen();
begin();
