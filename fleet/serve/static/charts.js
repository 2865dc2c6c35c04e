// All charts of a device on one axis of time, with one crosshair through them, and a table of it.

import { LEFT, Panel, RIGHT } from "./panel.js";
import { momentWords } from "./scale.js";

const MOST_ROWS = 60;
const KINDS = { fault: "fault", gap: "fault", recovered: "recovered", trial: "update", good: "update", rolled_back: "fault", rejected: "fault" };

const figures = (value, digits) => value.toLocaleString("en", { maximumFractionDigits: digits });
const ms = (value, isFull) => (value >= 1000
  ? `${figures(value / 1000, 2)} s`
  : `${figures(value, value < 1 ? 2 : value < 100 ? 1 : 0)}${isFull ? " ms" : ""}`);
const perSecond = (value) => figures(value, value < 10 ? 2 : 1);
const degrees = (value, isFull) => `${figures(value, isFull ? 1 : 0)}${isFull ? " °C" : "°"}`;
const percent = (value, isFull) => `${figures(value, 0)}${isFull ? " %" : "%"}`;

export class Charts {
  constructor(canvas, said) {
    this.canvas = canvas;
    this.said = said;
    this.stage = "end_to_end";
    this.atS = null;
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "group");
    canvas.setAttribute("aria-label", "Charts on one axis of time. Arrow keys move along it.");
    canvas.addEventListener("pointermove", (event) => this.#point(this.#timeAt(event.clientX)));
    canvas.addEventListener("pointerleave", () => this.#point(null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#point(null));
    new ResizeObserver(() => this.#redraw()).observe(canvas);
  }

  /** Show a history, as the server gives it. */
  show(history) {
    this.history = history;
    this.#build();
  }

  choose(stage) {
    this.stage = stage;
    if (this.history) this.#build();
  }

  #build() {
    const { history } = this;
    this.span = { fromS: history.from_s, toS: history.to_s };
    this.marks = history.marks.filter((mark) => KINDS[mark.kind])
      .map((mark) => ({ ...mark, kind: KINDS[mark.kind] }));
    this.panels = panelsOf(history, this.stage).map((what) => new Panel(what));
    this.when = document.createElement("p");
    this.when.className = "charts-when soft small";
    this.table = tableOf(history, this.stage, this.table?.open);
    this.canvas.replaceChildren(this.when, ...this.panels.map((panel) => panel.figure), this.table);
    this.canvas.removeAttribute("aria-busy");
    this.width = 0;
    this.#redraw();
  }

  #redraw() {
    const style = getComputedStyle(this.canvas);
    const width = Math.floor(this.canvas.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
    if (!this.panels || width < 120 || width === this.width) return;
    this.width = width;
    for (const panel of this.panels) panel.draw(width, this.span, this.marks);
    this.#point(this.atS);
  }

  #timeAt(clientX) {
    const svg = this.canvas.querySelector("figure svg[role=img]");
    if (!svg) return null;
    const share = (clientX - svg.getBoundingClientRect().left - LEFT) / (this.width - LEFT - RIGHT);
    if (share < -0.01 || share > 1.01) return null;
    return this.span.fromS + Math.min(1, Math.max(0, share)) * (this.span.toS - this.span.fromS);
  }

  #point(atS) {
    if (!this.panels) return;
    this.atS = atS;
    for (const panel of this.panels) panel.point(atS);
    const near = atS === null ? null : this.marks.find((mark) => Math.abs(mark.at_s - atS) < (this.span.toS - this.span.fromS) / 150);
    this.when.textContent = atS === null ? "newest values" : `${momentWords(atS)}${near ? `: ${near.words}` : ""}`;
  }

  #key(event) {
    const step = (this.span?.toS - this.span?.fromS) / 60;
    const ways = { ArrowLeft: -step, ArrowRight: step };
    if (event.key === "Escape") this.#point(null);
    if (!ways[event.key] || !this.panels || event.target !== this.canvas) return;
    event.preventDefault();
    const from = this.atS ?? this.span.toS;
    this.#point(Math.min(this.span.toS, Math.max(this.span.fromS, from + ways[event.key])));
    this.said.textContent = [this.when.textContent, ...this.panels.map((panel) => panel.said())].join(". ");
  }
}

function panelsOf(history, stage) {
  const { stretches, vitals } = history;
  const columns = { at: stretches.at_s, seconds: stretches.seconds };
  const board = { at: vitals.at_s, seconds: widthsOf(vitals.at_s) };
  const shades = spellsOf(vitals, board);
  const quiet = shades.map(([from, to]) => [from, to, ""]);
  const { p50, p95, p99 } = stretches.stages[stage];
  const note = shades.length ? `Throttled ${shades.length === 1 ? "once" : `${shades.length} times`}.` : "";
  return [
    { title: "Latency", height: 190, format: ms, columns, shades: quiet, saysHoles: true, hasTime: true, series: [
      { name: "p50 to p95", kind: "band", mark: "c1", low: p50, values: p95, isQuiet: true },
      { name: "p50", kind: "line", mark: "c1", values: p50 },
      { name: "p95", kind: "line", mark: "c1 thin", values: p95 },
      { name: "p99", kind: "line", mark: "c2 dotted", values: p99 }] },
    { title: "Frames per second", height: 104, format: perSecond, columns, shades: quiet, series: [
      { name: "fps", kind: "line", mark: "c4", values: stretches.fps }] },
    dropsOf(stretches, columns, quiet),
    { title: "Temperature", height: 112, format: degrees, columns: board, shades, from: 30, least: 60, note, series: [
      { name: "hottest", kind: "line", mark: "c2", values: vitals.hottest_c }] },
    { title: "Memory and processor", height: 120, format: percent, columns: board, least: 100, hasTime: true, series: [
      { name: "memory", kind: "line", mark: "c3", values: vitals.memory_percent },
      { name: "processor", kind: "line", mark: "c4 dotted", values: vitals.cpu_percent }] },
  ];
}

/** Frames without a result, by reason, each on top of the one before; a minute. */
function dropsOf(stretches, columns, shades) {
  const reasons = [["skipped", "skipped", "c1"], ["driver", "lost", "c2"], ["decode", "damaged", "c3"], ["refused", "refused", "c5"]];
  let low = stretches.at_s.map(() => 0);
  const series = reasons.map(([field, name, mark]) => {
    const values = low.map((below, place) => below + (60 * stretches[field][place]) / (stretches.seconds[place] || 60));
    const one = { name, kind: "bar", mark, low, values };
    low = values;
    return one;
  });
  return { title: "Without a result, a minute", height: 96, format: perSecond, columns, least: 1, shades, series };
}

function widthsOf(at) {
  const gaps = at.slice(1).map((one, place) => one - at[place]).sort((a, b) => a - b);
  const usual = gaps[gaps.length >> 1] ?? 60;
  return at.map((one, place) => Math.min((at[place + 1] ?? one + usual) - one, usual * 1.5));
}

/** Stretches of time in which the board was throttled: [from, to, words]. */
function spellsOf(vitals, columns) {
  const spells = [];
  vitals.throttled.forEach((why, place) => {
    if (!why) return;
    const from = columns.at[place], to = from + columns.seconds[place], last = spells.at(-1);
    if (last && from - last[1] < columns.seconds[place]) last[1] = to;
    else spells.push([from, to, "throttled"]);
  });
  return spells;
}

/** The same numbers to be read: at most so many rows, evenly chosen. */
function tableOf(history, stage, isOpen) {
  const details = document.createElement("details");
  details.className = "charts-table";
  const summary = document.createElement("summary");
  summary.textContent = "As a table";
  const holder = document.createElement("div");
  holder.className = "wide";
  holder.tabIndex = 0;
  holder.setAttribute("role", "region");
  holder.setAttribute("aria-label", "The charts as a table");
  details.append(summary, holder);
  const fill = () => details.open && !holder.firstChild && holder.append(rowsOf(history, stage));
  details.addEventListener("toggle", fill);
  details.open = Boolean(isOpen);
  return details;
}

function rowsOf({ stretches, vitals }, stage) {
  const table = document.createElement("table");
  table.className = "plain";
  const heads = ["Time", "Model", "Frames/s", "p50", "p95", "p99", "Without a result", "Hottest", "Throttled", "Memory"];
  const head = table.createTHead().insertRow();
  for (const words of heads) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = words;
    head.append(cell);
  }
  const body = table.createTBody(), step = Math.max(1, Math.ceil(stretches.at_s.length / MOST_ROWS));
  const { p50, p95, p99 } = stretches.stages[stage];
  const or = (value, words) => (value === null || value === undefined ? "-" : words(value, true));
  for (let place = stretches.at_s.length - 1; place >= 0; place -= step) {
    const at = stretches.at_s[place] + stretches.seconds[place];
    let near = vitals.at_s.findIndex((one) => one >= at - 1);
    if (near < 0) near = vitals.at_s.length - 1;
    const lost = stretches.skipped[place] + stretches.driver[place] + stretches.decode[place] + stretches.refused[place];
    const row = body.insertRow();
    for (const words of [momentWords(at), stretches.release[place], or(stretches.fps[place], perSecond), or(p50[place], ms),
      or(p95[place], ms), or(p99[place], ms), String(lost), or(vitals.hottest_c[near], degrees),
      vitals.throttled[near] || "no", or(vitals.memory_percent[near], percent)]) row.insertCell().textContent = words;
  }
  return table;
}
