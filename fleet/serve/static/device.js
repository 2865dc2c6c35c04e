// The page of one device: its charts, and what changes while somebody looks.

import { Charts } from "./charts.js";
import { follow } from "./live.js";
import { dateAll, nowS } from "./page.js";
import { put } from "./put.js";

// how often charts are read anew at most, by range, in ms
const OFTEN_MS = { "15m": 4000, "1h": 5000, "24h": 60_000, "7d": 300_000, "90d": 600_000 };
const SECONDS = { "15m": 900, "1h": 3600, "24h": 86_400, "7d": 604_800, "90d": 7_776_000 };
const place = document.getElementById("charts");
const head = document.getElementById("head");
const said = document.getElementById("said");
const device = location.pathname.split("/")[2];
const charts = place && new Charts(document.getElementById("canvas"), said);
let readMs = -Infinity, reached = null, timer = null, asked = 0;

async function read() {
  clearTimeout(timer);
  readMs = performance.now();
  aimSheets();
  const mine = ++asked;
  const told = new URLSearchParams({ range: place.dataset.range, pipeline: place.dataset.pipeline });
  const answer = await fetch(`/device/${device}/history?${told}`).catch(() => null);
  if (answer?.redirected) return location.reload();
  if (!answer?.ok || mine !== asked) return undefined;
  charts.show(await answer.json());
  return undefined;
}

/** Let what is downloaded be of the time and the pipeline that are shown. */
function aimSheets() {
  const fromS = Math.round(nowS() - SECONDS[place.dataset.range]);
  for (const link of document.querySelectorAll("[data-sheet]")) {
    const address = new URL(link.href);
    address.searchParams.set("from_s", fromS);
    if (address.searchParams.has("pipeline")) address.searchParams.set("pipeline", place.dataset.pipeline);
    link.href = address.pathname + address.search;
  }
}

/** Read the charts anew, not too often. */
function readSoon() {
  if (!charts) return;
  const wait = OFTEN_MS[place.dataset.range] - (performance.now() - readMs);
  clearTimeout(timer);
  timer = setTimeout(read, Math.max(0, wait));
}

if (charts) {
  const ranges = place.querySelectorAll(".segments a");
  for (const link of ranges) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      for (const each of ranges) each.removeAttribute("aria-current");
      link.setAttribute("aria-current", "true");
      place.dataset.range = link.dataset.range;
      keep();
      read();
    });
  }
  document.getElementById("pick-stage").addEventListener("change", (event) => charts.choose(event.target.value));
  document.getElementById("pick-pipeline").addEventListener("change", (event) => {
    place.dataset.pipeline = event.target.value;
    keep();
    read();
  });
  read();
}

/** Let the address say what is shown. */
function keep() {
  const told = new URLSearchParams({ range: place.dataset.range, pipeline: place.dataset.pipeline });
  history.replaceState(null, "", `${location.pathname}?${told}`);
}

const found = new Map(); // what each pipeline found last

function showFound() {
  for (const each of document.querySelectorAll("[data-found]")) {
    const words = found.get(each.dataset.found);
    each.hidden = words === undefined;
    if (words !== undefined) each.textContent = words;
  }
}

follow(`/device/${device}/live`, {
  device(news) {
    const before = head.querySelector(".concerns")?.textContent.trim();
    head.innerHTML = news.head;
    dateAll(head);
    showFound();
    const concerns = head.querySelector(".concerns")?.textContent.replace(/\s+/g, " ").trim();
    if (before !== undefined && concerns !== before.replace(/\s+/g, " ")) said.textContent = concerns;
    if (news.reached_s !== reached) {
      reached = news.reached_s;
      readSoon();
    }
  },
  found(news) {
    found.set(news.pipeline, news.words);
    showFound();
  },
  counts: (html) => put(document.getElementById("counts"), html),
  events: (html) => put(document.getElementById("events"), html),
  updates: (html) => put(document.getElementById("updates"), html),
  beat() {},
});
