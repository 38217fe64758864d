// Elements and words: everything that is shown goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** Return an element with properties and children; children are nodes or text. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-")) node.setAttribute(key, value);
    else node[key] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const whole = (value) => (value === null || value === undefined ? "–" : WHOLE.format(value));
export const short = (value) => (Math.abs(value) < 10_000 ? WHOLE.format(value) : SHORT.format(value));
export const share = (value) => (typeof value === "number" ? value.toFixed(3).replace(/^0/, "") : "–");
export const percent = (value) => `${Math.round(value * 100)} %`;
export const words = (name) => name.replaceAll("_", " ");
export const amount = (value) => new Intl.NumberFormat("en", { maximumFractionDigits: 2 }).format(value);

/** Return event time as people write it, in UTC like the events themselves. */
export function time(ms) {
  return ms ? `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")}` : "–";
}

/** Return a link that looks something up; the id stays behind the #, out of every server's log. */
export function lookupLink(kind, id, text = id) {
  return element("a", { href: `#${kind}=${encodeURIComponent(id)}` }, text);
}

/** Return a list of bars with a label and a value each. */
export function meters(rows, { bad = false } = {}) {
  const most = Math.max(...rows.map((row) => row.size), Number.MIN_VALUE);
  return element(
    "ul",
    { className: "meter" },
    ...rows.map((row) =>
      element(
        "li",
        {},
        element("span", { className: "label" }, row.label),
        element("progress", { max: most, value: row.size, className: bad || row.bad ? "bad" : "", "aria-hidden": "true" }),
        element("span", { className: "value" }, row.text),
      ),
    ),
  );
}

/** Return a list of names and values; pairs without a value are left out. */
export function pairs(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element(
    "dl",
    { className: "pairs" },
    ...shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}
