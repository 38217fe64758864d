// What is known of one user or one item.

import { amount, byId, element, lookupLink, meters, pairs, percent, share, time, whole, words } from "./elements.js";
import { ask, Refused } from "./stream.js";

/** Look something up and show it; `kind` is users or items. */
export async function lookUp(kind, id, alertsOf) {
  byId("kind").value = kind;
  byId("id").value = id;
  say(`looking for ${id} …`);
  try {
    const found = await ask(`v1/${kind}?id=${encodeURIComponent(id)}`);
    show(kind === "users" ? user(found, alertsOf(found.subject)) : item(found));
    say("");
  } catch (error) {
    byId("found").hidden = true;
    say(error instanceof Refused ? error.message : `no answer: ${error.message}`);
  }
}

export function close() {
  byId("found").hidden = true;
  say("");
}

function say(text) {
  byId("said").textContent = text;
}

function show([title, subtitle, ...columns]) {
  const leave = element("button", { type: "button", onclick: () => (location.hash = "") }, "Close");
  const head = element(
    "div",
    { className: "head" },
    element("h2", { id: "found-title" }, title),
    element("p", { className: "note" }, subtitle),
    leave,
  );
  const found = byId("found");
  found.replaceChildren(head, element("div", { className: "columns" }, ...columns));
  found.hidden = false;
  found.focus({ preventScroll: true });
  found.scrollIntoView({ block: "nearest" });
}

function user(found, alerts) {
  const [kind, id] = [found.subject.slice(0, 2), found.subject.slice(2)];
  return [
    id,
    kind === "u:" ? "user" : "anonymous visitor",
    element("div", {}, ...risk(found.risk), ...past(alerts)),
    element("div", {}, ...activity(found)),
    element("div", {}, element("h3", {}, "What next"), long("What next", list(found.recommendations))),
  ];
}

function risk(found) {
  if (!found) return [element("h3", {}, "Risk"), element("p", { className: "note" }, "Not scored yet.")];
  return [
    element("h3", {}, "Risk of leaving"),
    element("div", { className: "big" }, percent(found.probability)),
    element("progress", { max: 1, value: found.probability, className: "bad", "aria-label": "risk of leaving" }),
    element("ul", { className: "reasons" }, ...found.reasons.map((reason) => element("li", {}, reason))),
    found.counterfactual ? element("p", { className: "hint" }, sentence(found.counterfactual)) : null,
    ...parts(found.contributions ?? {}),
    element("p", { className: "note" }, `scored ${time(found.event_time)} by ${found.model_version}`),
  ];
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** Return what the risk is made of, the weightiest first; what speaks for leaving is red. */
function parts(contributions) {
  const groups = Object.entries(contributions).filter(([, value]) => Math.abs(value) >= 0.005);
  if (!groups.length) return [];
  groups.sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  const bars = groups.map(([name, value]) => ({
    label: words(name),
    size: Math.abs(value),
    text: `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`,
    bad: value > 0,
  }));
  return [element("h3", {}, "What it is made of"), meters(bars), element("p", { className: "note" }, "log-odds; + speaks for leaving")];
}

function past(alerts) {
  if (!alerts.length) return [];
  const lines = alerts.map((one) => element("li", {}, `${time(one.event_time)}: ${percent(one.probability)}, ${words(one.action)}`));
  return [element("h3", {}, "Alerts"), element("ul", { className: "reasons" }, ...lines)];
}

function activity(found) {
  const counts = Object.entries(found.event_counts).sort((one, other) => other[1] - one[1]);
  const session = found.session && `${time(found.session.started)}, ${whole(found.session.touches)} touches`;
  const chips = [...new Set(found.recent_items)].map((id) => element("li", { className: "tag" }, lookupLink("items", id)));
  return [
    element("h3", {}, "Activity"),
    pairs([
      ["first seen", time(found.first_event)],
      ["last seen", time(found.last_event)],
      ["latest session", session],
      ["spent", amount(found.spend)],
      ["labels that wait", whole(found.pending_labels)],
    ]),
    meters(counts.map(([name, count]) => ({ label: words(name), size: count, text: whole(count) }))),
    ...(chips.length ? [element("h3", {}, "Touched last"), element("ul", { className: "chips" }, ...chips)] : []),
  ];
}

function list(items) {
  if (!items.length) return element("p", { className: "note" }, "No list: no item has been touched.");
  return element(
    "ol",
    { className: "list" },
    ...items.map((one) =>
      element("li", {}, lookupLink("items", one.item_id), element("div", { className: "note" }, one.reason)),
    ),
  );
}

/** Return a box in which something long can be scrolled, by keyboard too. */
function long(label, content) {
  return element("div", { className: "long", tabIndex: 0, role: "region", "aria-label": label }, content);
}

function item(found) {
  const head = ["Partner", "After it", "Before it", "Directly after"];
  const cells = (one) => [amount(one.forward), amount(one.backward), share(one.lag1)];
  const rows = found.neighbours.map((one) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, lookupLink("items", one.item_id)),
      ...cells(one).map((text) => element("td", { className: "number" }, text)),
    ),
  );
  const table = element(
    "table",
    { className: "plain" },
    element("caption", { className: "hidden" }, "Partners of the item, strongest first"),
    element("thead", {}, element("tr", {}, ...head.map((text, at) => element("th", { scope: "col", className: at ? "number" : "" }, text)))),
    element("tbody", {}, ...rows),
  );
  return [
    found.item_id,
    "item",
    element(
      "div",
      {},
      element("h3", {}, "Item"),
      pairs([
        ["category", found.category],
        ["price", found.price === null ? null : amount(found.price)],
        ["touches", whole(found.touches)],
        ["popularity", `${amount(found.popularity)} touches, decayed`],
        ["as of", time(found.event_time)],
      ]),
    ),
    element("div", {}, element("h3", {}, "Seen together in a visit"), rows.length ? long("Partners", table) : element("p", { className: "note" }, "With nothing yet.")),
  ];
}
