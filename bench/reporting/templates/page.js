"use strict";
// Draws the charts as they come into view, and lets all of them and the tables follow the legends and filters.
const report = JSON.parse(document.getElementById("data").textContent);
const drawn = new Map();
const form = document.getElementById("filters");
const legends = [...document.querySelectorAll("form.legend")];
const sections = [...document.querySelectorAll("section.set")];
const hidden = new Set(); // methods that legends have switched off
const MANY = 300; // marks beyond which a canvas is faster than SVG
const NARROW = 420; // pixels

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  for (; bytes >= 1000 && power < 4; power += 1) bytes /= 1024;
  return `${Number(bytes.toPrecision(3)).toLocaleString("en")} ${units[power]}`;
}

function front(set, rows) {
  const cost = (row) => (set.higher ? -row.value : row.value);
  const known = rows.filter((row) => row.value !== null).sort((a, b) => a.bytes - b.bytes || cost(a) - cost(b));
  const best = [];
  for (const row of known) {
    const last = best[best.length - 1];
    if (!last || cost(row) < cost(last) || (row.value === last.value && row.bytes === last.bytes)) best.push(row);
  }
  return best;
}

// What the charts of a set show of some of its rows, by the names of their data.
function data(set, rows) {
  const ranked = [...rows].sort((a, b) => a.rank - b.rank);
  const base = set.rows.find((row) => row.base);
  const best = front(set, rows);
  const over = (lists) => ranked.slice(0, report.curves).flatMap((row) =>
    (lists[row.id] || []).map(([at, mean, lo, hi]) => ({
      id: row.id, name: row.name, rank: row.rank, at, mean, lo, hi,
      base: base && lists[base.id] ? (lists[base.id].find((one) => one[0] === at) || [])[1] ?? null : null,
    })));
  const few = ranked.slice(0, report.rows);
  return {
    groups: [...rows.filter((row) => !best.includes(row)), ...best],
    front: best,
    base: base ? [base] : [],
    curves: over(set.curves),
    tenths: over(set.tenths[set.field || Object.keys(set.tenths)[0]] || {}),
    parts: few.filter((row) => row.parts).flatMap((row) => row.parts.map((bytes, place, all) => ({
      name: row.name, bytes: row.bytes, part: report.parts[place], size: bytes, place,
      share: bytes / all.reduce((sum, one) => sum + one, 0), text: size(bytes),
    })).filter((part) => part.size)),
    sizes: few.flatMap((row) => [["to serve", row.bytes], ["optimizer", row.optimizer]]
      .filter(([, bytes]) => bytes)
      .map(([what, bytes]) => ({ name: row.name, bytes: row.bytes, what, size: bytes, text: size(bytes) }))),
  };
}

function each(node, act) {
  if (!node || typeof node !== "object") return;
  act(node);
  Object.values(node).forEach((child) => each(child, act));
}

// Gives a chart the width that its place has.
function fitted(spec, width, rows) {
  const out = structuredClone(spec);
  const longest = Math.max(...rows.map((row) => row.name.length), 4);
  each(out, (node) => {
    if (node.legend && node.legend.columns) node.legend.columns = Math.max(2, Math.floor(width / 115));
  });
  if (out.facet) {
    const wide = out.usermeta && out.usermeta.columns; // panels as large as charts
    out.columns = Math.max(1, wide ? Math.min(wide, Math.floor(width / 280)) : Math.min(4, rows.length, Math.floor((width - 60) / 145)));
    out.spec.width = Math.min(wide ? 560 : 320, Math.floor((width - 62) / out.columns) - 34);
    out.spacing = 24;
    out.facet.header.labelLimit = out.spec.width + 40;
    if (width < NARROW) {
      // a line a setting: a wide name would push the panels out of the page
      Object.assign(out.facet.header, { labelFontSize: 10, labelExpr: "split(datum.label, ' ')", labelLimit: out.spec.width + 24 });
    }
  } else if (out.hconcat) {
    const label = Math.min(width * 0.3, longest * 7 + 12);
    if (width < 700) {
      const names = Math.min(longest * 6.2 + 10, 190);
      out.vconcat = out.hconcat;
      delete out.hconcat;
      out.vconcat.forEach((part) => { part.width = width - names - 40; });
      out.vconcat[1].encoding.y.axis = { ...out.vconcat[0].encoding.y.axis };
      each(out.vconcat, (node) => {
        if (node.labelLimit) Object.assign(node, { labelLimit: names, labelFontSize: 10 });
        if (node.legend && node.legend.columns) node.legend.columns = 2;
      });
    } else {
      const room = width - label - 75;
      each(out.hconcat, (node) => { if (node.labelLimit) node.labelLimit = label; });
      out.hconcat[0].width = Math.floor(room * 0.55);
      out.hconcat[1].width = Math.floor(room * 0.45);
    }
  } else {
    out.width = width;
    out.autosize = { type: "fit-x", contains: "padding" };
    if (width < NARROW) out.height = 360;
  }
  return out;
}

// Adds the names of marks to what Vega-Lite has made of a chart, beside the marks that they name.
function labelled(vega) {
  const labels = vega.usermeta && vega.usermeta.labels;
  each(vega, (node) => {
    if (labels && Array.isArray(node.marks) && node.marks.some((mark) => mark.name === labels.from.data)) node.marks.push(labels);
  });
  return vega;
}

function visible(set) {
  const values = form ? new FormData(form) : new Map();
  const dataset = values.get("dataset");
  const budget = Number(values.get("budget") || 0);
  if (dataset && dataset !== set.dataset) return [];
  return set.rows.filter((row) => !hidden.has(row.method) && (!budget || row.share <= budget * (1 + 1e-9)));
}

async function draw(figure) {
  const set = report.sets[figure.closest("section").dataset.set];
  const place = figure.querySelector(".chart");
  const width = place.clientWidth;
  if (!width || (drawn.has(figure) && drawn.get(figure).width === width)) return;
  drawn.set(figure, { width, view: null });
  const rows = visible(set);
  const spec = fitted(set.specs[figure.dataset.plot], width, set.rows);
  spec.datasets = { ...spec.datasets, ...data(set, rows) };
  const renderer = set.rows.length > MANY ? "canvas" : "svg";
  const { view } = await vegaEmbed(place, spec, { mode: "vega-lite", actions: false, renderer, patch: labelled });
  view.addEventListener("click", (event, item) => { if (item && item.datum && item.datum.id) pick(set, item.datum.id); });
  drawn.get(figure).view = view;
  figure.dataset.drawn = "true";
}

function pick(set, id) {
  const row = set.rows.find((one) => one.id === id);
  const section = document.getElementById(set.key);
  if (!row) return;
  section.querySelectorAll("tr.picked").forEach((line) => line.classList.remove("picked"));
  document.getElementById(id).classList.add("picked");
  const box = section.querySelector("div.picked");
  box.hidden = false;
  const code = document.createElement("code");
  code.textContent = row.command;
  const also = row.also ? `, ${row.also}` : "";
  box.replaceChildren(
    `${row.name}: ${row.memory}, ${row.smaller} smaller, ${set.title} ${row.leading}, to full ${row.delta}${also}, seeds ${row.seeds}. To repeat:`,
    code,
  );
}

function filter() {
  for (const section of sections) {
    const set = report.sets[section.dataset.set];
    const rows = visible(set);
    const ids = new Set(rows.map((row) => row.id));
    const best = new Set(front(set, rows).map((row) => row.id));
    const elsewhere = form && new FormData(form).get("dataset");
    section.hidden = Boolean(elsewhere && elsewhere !== set.dataset);
    section.querySelector(".nothing").hidden = rows.length > 0;
    section.querySelectorAll("figure, .runs").forEach((part) => { part.style.display = rows.length ? "" : "none"; });
    for (const line of section.querySelectorAll(".runs tr[data-id]")) {
      line.hidden = !ids.has(line.dataset.id);
      line.classList.toggle("front", best.has(line.dataset.id));
      line.querySelector(".star").textContent = best.has(line.dataset.id) ? "★" : "";
    }
    for (const line of section.querySelectorAll(".worst tbody tr")) line.hidden = !ids.has(line.dataset.id);
    for (const list of section.querySelectorAll(".beyond .method")) {
      const buttons = [...list.querySelectorAll("button")];
      buttons.forEach((button) => { button.hidden = !ids.has(button.dataset.id); });
      list.hidden = buttons.every((button) => button.hidden);
    }
    for (const list of section.querySelectorAll(".beyond")) {
      list.style.visibility = [...list.children].every((one) => one.hidden) ? "hidden" : "";
    }
    if (!rows.length) continue;
    const shown = data(set, rows);
    for (const [figure, { view }] of drawn) {
      if (!view || !section.contains(figure)) continue;
      for (const [name, values] of Object.entries(shown)) {
        try { view.data(name, values); } catch { /* this chart has no such data */ }
      }
      view.resize().runAsync();
    }
  }
}

// Shows in every legend what is switched off.
function mark() {
  for (const legend of legends) {
    for (const set of legend.querySelectorAll("fieldset")) {
      const methods = [...set.querySelectorAll("input[name=method]")];
      methods.forEach((box) => { box.checked = !hidden.has(box.value); });
      const family = set.querySelector("input[name=family]");
      const on = methods.filter((box) => box.checked).length;
      family.checked = on > 0;
      family.indeterminate = on > 0 && on < methods.length;
    }
  }
}

function choose(event) {
  const boxes = event.target.name === "family"
    ? [...event.target.closest("fieldset").querySelectorAll("input[name=method]")]
    : [event.target];
  boxes.forEach((box) => { if (event.target.checked) hidden.delete(box.value); else hidden.add(box.value); });
  mark();
  filter();
}

const figures = [...document.querySelectorAll("figure[data-plot]")];
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
}, { rootMargin: "200px" });
figures.forEach((figure) => seen.observe(figure));

// the others too, one at a time, so that all are there to be printed
const idle = window.requestIdleCallback || ((act) => setTimeout(act, 60));
function rest(queue) {
  const next = queue.shift();
  if (next) idle(async () => { await draw(next); rest(queue); });
  else document.body.dataset.complete = "true";
}
window.addEventListener("load", () => rest([...figures]));

let waiting;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => figures.forEach((figure) => { if (drawn.has(figure)) draw(figure); }), 200);
});

for (const legend of legends) {
  legend.addEventListener("change", choose);
  legend.addEventListener("submit", (event) => event.preventDefault());
}
mark(); // a browser may have kept what was chosen before
if (form) {
  form.addEventListener("change", filter);
  form.addEventListener("reset", () => setTimeout(() => { hidden.clear(); mark(); filter(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();
}
for (const section of sections) {
  for (const choice of section.querySelectorAll("select.field")) {
    const follow = () => { report.sets[section.dataset.set].field = choice.value; filter(); };
    choice.addEventListener("change", follow);
    if (choice.selectedIndex > 0) follow(); // a browser may have kept what was chosen before
  }
  section.addEventListener("click", (event) => {
    const place = event.target.closest(".runs tr[data-id], .beyond button");
    if (place) pick(report.sets[section.dataset.set], place.dataset.id);
  });
}
