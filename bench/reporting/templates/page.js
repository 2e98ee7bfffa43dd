"use strict";
// Draws the charts as they come into view, and lets all of them and the tables follow the filters.
const report = JSON.parse(document.getElementById("data").textContent);
const drawn = new Map();
const form = document.getElementById("filters");
const sections = [...document.querySelectorAll("section.set")];
const MANY = 300; // marks beyond which a canvas is faster than SVG

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  for (; bytes >= 1000 && power < 4; power += 1) bytes /= 1024;
  return `${Number(bytes.toPrecision(3)).toLocaleString("en")} ${units[power]}`;
}

function front(rows) {
  const known = rows.filter((row) => row.mae !== null).sort((a, b) => a.bytes - b.bytes || a.mae - b.mae);
  const best = [];
  for (const row of known) {
    const last = best[best.length - 1];
    if (!last || row.mae < last.mae || (row.mae === last.mae && row.bytes === last.bytes)) best.push(row);
  }
  return best;
}

// What the charts of a set show of some of its rows, by the names of their data.
function data(set, rows) {
  const ranked = [...rows].sort((a, b) => a.rank - b.rank);
  const base = set.rows.find((row) => row.base);
  const over = (lists, axis) => ranked.slice(0, report.curves).flatMap((row) =>
    (lists[row.id] || []).map(([at, mean, lo, hi], i) => ({
      id: row.id, name: row.name, rank: row.rank, [axis]: at, mean, lo, hi,
      base: base && lists[base.id] ? (lists[base.id].find((one) => one[0] === at) || [])[1] ?? null : null,
    })));
  const few = ranked.slice(0, report.rows);
  return {
    groups: rows,
    front: front(rows),
    base: base ? [base] : [],
    curves: over(set.curves, "epoch"),
    deciles: over(set.deciles, "decile"),
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
    out.columns = Math.max(1, Math.min(4, rows.length, Math.floor((width - 60) / 145)));
    out.spec.width = Math.min(320, Math.floor((width - 62) / out.columns) - 34);
    out.spacing = 24;
    out.facet.header.labelLimit = out.spec.width + 40;
    if (width < 420) {
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
    if (width < 420) out.height = 280;
  }
  return out;
}

function visible(set) {
  if (!form) return set.rows;
  const values = new FormData(form);
  const methods = new Set(values.getAll("method"));
  const dataset = values.get("dataset");
  const budget = Number(values.get("budget") || 0);
  if (dataset && dataset !== set.dataset) return [];
  return set.rows.filter((row) => methods.has(row.method) && (!budget || row.share <= budget * (1 + 1e-9)));
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
  const { view } = await vegaEmbed(place, spec, { mode: "vega-lite", actions: false, renderer });
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
  box.replaceChildren(
    `${row.name}: ${row.memory}, ${row.smaller} smaller, val MAE ${row.error}, to full ${row.delta}, seeds ${row.seeds}. To repeat:`,
    code,
  );
}

function filter() {
  for (const section of sections) {
    const set = report.sets[section.dataset.set];
    const rows = visible(set);
    const ids = new Set(rows.map((row) => row.id));
    const best = new Set(front(rows).map((row) => row.id));
    const elsewhere = form && new FormData(form).get("dataset");
    section.hidden = Boolean(elsewhere && elsewhere !== set.dataset);
    section.querySelector(".nothing").hidden = rows.length > 0;
    section.querySelectorAll(".first, .plots").forEach((part) => { part.hidden = !rows.length; part.style.display = rows.length ? "" : "none"; });
    for (const line of section.querySelectorAll("tbody tr")) {
      line.hidden = !ids.has(line.dataset.id);
      line.classList.toggle("front", best.has(line.dataset.id));
      line.querySelector(".star").textContent = best.has(line.dataset.id) ? "★" : "";
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

if (form) {
  form.addEventListener("change", filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  filter(); // a browser may have kept what was chosen before
}
for (const section of sections) {
  section.addEventListener("click", (event) => {
    const line = event.target.closest("tbody tr");
    if (line) pick(report.sets[section.dataset.set], line.dataset.id);
  });
}
