// One chart of several that share an axis of time: a caption with values, and a drawing.

import { bandPath, barPath, draw, holesOf, linePath, niceTicks, runsOf, tickWords, timeTicks } from "./scale.js";

export const LEFT = 46, RIGHT = 10;
const TOP = 8, LABELS = 20;

/**
 * what: { title, height, format, from, least, series, columns, hasTime, shades, note }; from: where
 * the axis begins, or below; least: where it ends, or above.
 * series: { name, mark, kind: "line" | "band" | "bar", values, low, isQuiet }; columns: { at, seconds }.
 */
export class Panel {
  constructor(what) {
    this.what = what;
    this.figure = document.createElement("figure");
    this.figure.className = "panel";
    const caption = document.createElement("figcaption");
    const title = document.createElement("h3");
    title.textContent = what.title;
    this.values = document.createElement("p");
    this.values.className = "panel-values";
    caption.append(title, this.values);
    this.holder = document.createElement("div");
    this.figure.append(caption, this.holder);
    this.keys = what.series.filter((one) => !one.isQuiet).map((one) => this.#key(one));
    this.values.append(...this.keys.map((key) => key.item));
  }

  #key(series) {
    const item = document.createElement("span");
    item.className = "key";
    const swatch = draw("svg", { viewBox: "0 0 14 10", width: 14, height: 10, "aria-hidden": "true" });
    swatch.append(series.kind === "line"
      ? draw("path", { class: `line ${series.mark}`, d: "M0 5H14" })
      : draw("rect", { class: `area ${series.mark}`, width: 14, height: 10, rx: 2 }));
    const value = document.createElement("b");
    item.append(swatch, `${series.name} `, value);
    return { item, value, series };
  }

  /** Draw it anew. width: in px; span: { fromS, toS }; marks: moments that all charts show. */
  draw(width, span, marks) {
    const { what } = this;
    const bottom = what.height - (what.hasTime ? LABELS : 4);
    const values = what.series.flatMap((one) => one.values.filter((value) => value !== null));
    const least = Math.min(what.from ?? 0, ...values), most = Math.max(what.least ?? 0, ...values);
    const ticks = niceTicks(least, most || 1, what.height > 120 ? 4 : 3);
    const x = (at) => LEFT + ((at - span.fromS) / (span.toS - span.fromS)) * (width - LEFT - RIGHT);
    const y = (value) => bottom - ((value - ticks[0]) / (ticks.at(-1) - ticks[0])) * (bottom - TOP);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${what.height}`, width, height: what.height, role: "img", "aria-label": this.#words() });
    this.#drawShades(svg, x, bottom);
    for (const tick of ticks) {
      svg.append(draw("path", { class: "grid", d: `M${LEFT} ${y(tick).toFixed(1)}H${width - RIGHT}` }));
      svg.append(draw("text", { class: "tick tick-y", x: LEFT - 7, y: y(tick) + 4 }, what.format(tick)));
    }
    this.#drawTimes(svg, x, width, span, bottom);
    this.#drawHoles(svg, x, bottom, span);
    for (const series of what.series) this.#drawSeries(svg, series, x, y);
    for (const mark of marks) {
      const at = x(mark.at_s).toFixed(1);
      svg.append(draw("path", { class: `mark mark-${mark.kind}`, d: `M${at} ${TOP}V${bottom}` }));
    }
    this.cross = draw("path", { class: "cross", d: "" });
    svg.append(this.cross);
    this.x = x;
    this.bottom = bottom;
    this.holder.replaceChildren(svg);
    this.point(null);
  }

  /** Show the values at a moment; null: the newest. */
  point(atS) {
    const { at, seconds } = this.what.columns;
    let place = at.length - 1;
    if (atS !== null) {
      while (place > 0 && at[place] > atS) place--;
      const isThere = at.length && at[place] <= atS && atS <= at[place] + seconds[place] * 1.6;
      if (!isThere) place = -1;
    }
    for (const { value, series } of this.keys) {
      const found = place < 0 ? null : series.values[place] - (series.kind === "bar" && series.low ? series.low[place] : 0);
      const isKnown = place >= 0 && series.values[place] !== null;
      value.textContent = isKnown ? this.what.format(found, true) : "-";
    }
    this.cross?.setAttribute("d", atS === null ? "" : `M${this.x(atS).toFixed(1)} 0V${this.bottom}`);
    return place;
  }

  /** The values that are shown now, as a sentence. */
  said() {
    return `${this.what.title}: ${this.keys.map(({ series, value }) => `${series.name} ${value.textContent}`).join(", ")}`;
  }

  #words() {
    const { what } = this;
    const parts = what.series.filter((one) => !one.isQuiet).map((one) => {
      const known = one.values.filter((value) => value !== null);
      if (!known.length) return `${one.name}: nothing known`;
      const [least, most] = [Math.min(...known), Math.max(...known)];
      return `${one.name} from ${what.format(least, true)} to ${what.format(most, true)}, newest ${what.format(known.at(-1), true)}`;
    });
    return `${what.title}. ${parts.join(". ")}.${what.note ? ` ${what.note}` : ""}`;
  }

  #drawShades(svg, x, bottom) {
    for (const [from, to, words] of this.what.shades ?? []) {
      const width = Math.max(2, x(to) - x(from));
      svg.append(draw("rect", { class: "shade", x: x(from), y: 0, width, height: bottom }));
      if (words) svg.append(draw("path", { class: "shade-edge", d: `M${x(from)} 1.5h${width}` }));
      if (words && width > 60) svg.append(draw("text", { class: "shade-words", x: x(from) + 5, y: 15 }, words));
    }
  }

  #drawTimes(svg, x, width, span, bottom) {
    const { ticks, step } = timeTicks(span.fromS, span.toS, Math.max(2, Math.floor((width - LEFT) / 92)));
    for (const tick of ticks) {
      svg.append(draw("path", { class: "grid", d: `M${x(tick).toFixed(1)} ${TOP}V${bottom}` }));
      if (!this.what.hasTime) continue;
      const place = Math.min(Math.max(x(tick), LEFT + 12), width - 24);
      svg.append(draw("text", { class: "tick tick-x", x: place, y: bottom + 15 }, tickWords(tick, step)));
    }
  }

  #drawHoles(svg, x, bottom, span) {
    for (const [from, to] of holesOf(this.what.columns, (span.toS - span.fromS) / 60, span)) {
      svg.append(draw("rect", { class: "hole", x: x(from), y: TOP, width: x(to) - x(from), height: bottom - TOP }));
      if (x(to) - x(from) > 76 && this.what.saysHoles) {
        svg.append(draw("text", { class: "hole-words", x: (x(from) + x(to)) / 2, y: (TOP + bottom) / 2 + 4 }, "no records"));
      }
    }
  }

  #drawSeries(svg, series, x, y) {
    const { columns } = this.what;
    const clip = { at: columns.at, seconds: columns.seconds };
    if (series.kind === "bar") {
      svg.append(draw("path", { class: `area ${series.mark}`, d: barPath(clip, series.low, series.values, x, y) }));
      return;
    }
    const runs = runsOf(clip, (place) => series.values[place] !== null && (!series.low || series.low[place] !== null));
    const d = series.kind === "band"
      ? bandPath(clip, series.low, series.values, runs, x, y)
      : linePath(clip, series.values, runs, x, y);
    svg.append(draw("path", { class: `${series.kind === "band" ? "area" : "line"} ${series.mark}`, d }));
  }
}
