// Scales and shapes of charts: from numbers to places in a drawing.

const SVG = "http://www.w3.org/2000/svg";
const MINUTE = 60, HOUR = 3600, DAY = 86400;
const STEPS_S = [15, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR,
  2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY];

/** An element of SVG. */
export function draw(name, attributes = {}, text = null) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== null) element.textContent = text;
  return element;
}

/** Round values from 0 or below the least to above the most, about `many` of them. */
export function niceTicks(least, most, many) {
  const span = most - least || Math.abs(most) || 1;
  const power = 10 ** Math.floor(Math.log10(span / many));
  const step = [1, 2, 2.5, 5, 10].map((one) => one * power).find((one) => span / one <= many);
  const ticks = [];
  for (let tick = Math.floor(least / step); tick * step < most + step * 0.999; tick++) ticks.push(tick * step);
  return ticks;
}

/** Moments at which an axis of time is labelled: whole minutes, hours, days of the reader's. */
export function timeTicks(fromS, toS, many) {
  const step = STEPS_S.find((one) => (toS - fromS) / one <= many) ?? STEPS_S.at(-1);
  const offset = new Date(fromS * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let at = Math.ceil((fromS - offset) / step) * step + offset; at <= toS; at += step) ticks.push(at);
  return { ticks, step };
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const whole = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function tickWords(atS, step) {
  const at = new Date(atS * 1000);
  if (step >= DAY || (at.getHours() === 0 && at.getMinutes() === 0)) return day.format(at);
  return (step < MINUTE ? seconds : clock).format(at);
}

export const momentWords = (atS) => whole.format(new Date(atS * 1000));

/** Runs of neighbours without a hole between: [first, behind the last] of places in `columns`. */
export function runsOf(columns, isThere) {
  const { at, seconds: widths } = columns;
  const usual = [...widths].sort((a, b) => a - b)[widths.length >> 1] || 60;
  const runs = [];
  let first = -1;
  for (let place = 0; place < at.length; place++) {
    const follows = place > 0 && at[place] - (at[place - 1] + widths[place - 1]) <= Math.max(usual, widths[place]);
    if (first >= 0 && (!isThere(place) || !follows)) {
      runs.push([first, place]);
      first = -1;
    }
    if (first < 0 && isThere(place)) first = place;
  }
  if (first >= 0) runs.push([first, at.length]);
  return runs;
}

/** Stretches of time of which nothing is known, longer than `leastS`; also before the first that is. */
export function holesOf(columns, leastS, span) {
  const { at, seconds: widths } = columns;
  const firstS = at.length ? at[0] : span.toS;
  const holes = firstS - span.fromS > leastS ? [[span.fromS, firstS]] : [];
  for (let place = 1; place < at.length; place++) {
    const from = at[place - 1] + widths[place - 1];
    if (at[place] - from > leastS) holes.push([from, at[place]]);
  }
  return holes;
}

/** A line through the middles of stretches, whole at both ends of a run. */
export function linePath(columns, values, runs, x, y) {
  return runs.map(([first, end]) => {
    const points = pointsOf(columns, values, first, end, x, y);
    return `M${points.join("L")}`;
  }).join("");
}

/** What lies between two lines. */
export function bandPath(columns, low, high, runs, x, y) {
  return runs.map(([first, end]) => {
    const above = pointsOf(columns, high, first, end, x, y);
    const below = pointsOf(columns, low, first, end, x, y).reverse();
    return `M${above.join("L")}L${below.join("L")}Z`;
  }).join("");
}

/** Bars from `low` to `high`, as wide as their stretches. */
export function barPath(columns, low, high, x, y) {
  let path = "";
  for (let place = 0; place < columns.at.length; place++) {
    if (!(high[place] > low[place])) continue;
    const left = x(columns.at[place]), right = x(columns.at[place] + columns.seconds[place]);
    const top = y(high[place]), height = y(low[place]) - top;
    path += `M${left.toFixed(1)} ${top.toFixed(1)}h${Math.max(1, right - left).toFixed(1)}v${height.toFixed(1)}H${left.toFixed(1)}Z`;
  }
  return path;
}

function pointsOf(columns, values, first, end, x, y) {
  const points = [[columns.at[first], values[first]]];
  for (let place = first; place < end; place++) {
    points.push([columns.at[place] + columns.seconds[place] / 2, values[place]]);
  }
  points.push([columns.at[end - 1] + columns.seconds[end - 1], values[end - 1]]);
  return points.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`);
}
