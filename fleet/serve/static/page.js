// What every page does: the theme, times in the reader's zone, and whether the page is live.

const MINUTE = 60, HOUR = 3600, DAY = 86400;

const SKEW_MS = 3000; // less than that is the way of the page from there to here
const toldMs = 1000 * Number(document.querySelector('meta[name="now"]').content);
const cameMs = Date.now() - performance.now() + (performance.getEntriesByType("navigation")[0]?.responseStart ?? 0);
const aheadMs = Math.abs(cameMs - toldMs) < SKEW_MS ? 0 : cameMs - toldMs;

/** Unix time by the server's clock: the reader's may be wrong. */
export const nowS = () => (Date.now() - aheadMs) / 1000;

/** A length of time in the words of the server: `12 s`, `5 min`, `7 h`, `3 days`. */
export function stretch(seconds) {
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 99.5 * MINUTE) return `${Math.round(seconds / MINUTE)} min`;
  if (seconds < 48 * HOUR) return `${Math.round(seconds / HOUR)} h`;
  return `${Math.round(seconds / DAY)} days`;
}

const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const otherDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hour12: false });

/** A moment in the reader's time zone; the day only if it is not today. */
export function moment(atS) {
  const at = new Date(atS * 1000);
  const isToday = at.toDateString() === new Date().toDateString();
  return (isToday ? sameDay : otherDay).format(at);
}

/** Write all times below an element as the reader reads them. */
export function dateAll(root = document) {
  const now = nowS();
  for (const each of root.querySelectorAll("time[data-moment]")) {
    each.textContent = moment(Number(each.dataset.moment));
    each.title = new Date(Number(each.dataset.moment) * 1000).toString();
  }
  for (const each of root.querySelectorAll("time[data-age]")) {
    const words = `${stretch(Math.max(0, now - Number(each.dataset.age)))} ago`;
    if (each.textContent !== words) each.textContent = words;
  }
}

function beginTheme() {
  const button = document.getElementById("theme");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    try {
      localStorage.setItem("vedette-theme", root.dataset.theme);
    } catch { /* it lasts as long as the page */ }
  });
}

function beginKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    const search = document.getElementById("search");
    if (event.key === "/" && !isTyping && search) {
      event.preventDefault();
      search.focus();
      search.select();
    } else if (event.key === "Escape" && event.target === search) {
      search.blur();
    }
  });
}

beginTheme();
beginKeys();
dateAll();
setInterval(dateAll, 1000);
