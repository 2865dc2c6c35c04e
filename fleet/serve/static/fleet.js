// The page of the whole fleet: search as one types, lines that change in place, keys.

import { dateAll } from "./page.js";
import { follow } from "./live.js";

const TYPING_MS = 70;
const USUAL = { show: "all", order: "worst" }; // what needs no word in the address
const form = document.getElementById("ask");
const lines = document.getElementById("lines");
const head = document.getElementById("head");
const said = document.getElementById("said");
let asked = 0;

function question() {
  const told = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...told]) {
    if (!value || USUAL[name] === value) told.delete(name);
  }
  return told;
}

/** Ask for another table and show it. remember: "push" or "replace" in the browser's history. */
async function ask(told, remember) {
  const mine = ++asked;
  const answer = await fetch(`/lines?${told}`).catch(() => null);
  if (answer?.redirected) return location.reload();
  if (!answer?.ok || mine !== asked) return undefined;
  const html = await answer.text();
  if (mine !== asked) return undefined;
  lines.innerHTML = html;
  learn();
  dateAll(lines);
  const address = `/${told.size ? "?" : ""}${told}`;
  if (remember === "push") history.pushState(null, "", address);
  else if (remember === "replace") history.replaceState(null, "", address);
  live.turnTo(`/live?${told}`);
  return undefined;
}

/** Bring the form in line with an address. */
function fill(told) {
  for (const field of form.elements) {
    if (!field.name || field.type === "hidden") continue;
    const value = told.get(field.name) ?? USUAL[field.name] ?? "";
    if (field.tagName === "SELECT" && ![...field.options].some((one) => one.value === value)) {
      field.add(new Option(value, value));
    }
    field.value = value;
  }
  nameWays();
}

/** Each order has its own words for its two directions. */
function nameWays() {
  const chosen = form.elements.order.selectedOptions[0], ways = form.elements.reverse.options;
  ways[0].textContent = chosen.dataset.first;
  ways[1].textContent = chosen.dataset.last;
}

let timer = null;
form.addEventListener("input", (event) => {
  clearTimeout(timer);
  if (event.target.name === "order") {
    form.elements.reverse.value = "";
    nameWays();
  }
  timer = setTimeout(() => ask(question(), "replace"), event.target.type === "search" ? TYPING_MS : 0);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  ask(question(), "push");
});

/** What the form asks for now, which a link that is a moment old may not know, in a link's order. */
function sortedAs(linked) {
  const told = question();
  for (const name of ["order", "reverse"]) {
    told.delete(name);
    if (linked.has(name)) told.set(name, linked.get(name));
  }
  return told;
}

// Links to other views of the same table need no other page
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='/?'], a[href='/'].here");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  clearTimeout(timer);
  const linked = new URLSearchParams(new URL(link.href).search);
  const isSort = link.hasAttribute("data-sort");
  const told = isSort ? sortedAs(linked) : linked;
  const place = isSort ? [...link.closest("tr").children].indexOf(link.closest("th")) : -1;
  fill(told);
  ask(told, "push").then(() => {
    if (isSort) document.querySelector(`#table thead tr`)?.children[place]?.querySelector("a")?.focus();
    else if (!link.isConnected || link.closest("#head")) {
      form.scrollIntoView({ block: "start" });
      document.getElementById("search").focus({ preventScroll: true });
    }
  });
});
addEventListener("popstate", () => {
  const told = new URLSearchParams(location.search);
  fill(told);
  ask(told, "none");
});

// keys: up and down among the lines
document.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const isSearch = event.target.id === "search";
  if (!isSearch && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  const links = [...lines.querySelectorAll("#rows .c-name a")];
  const place = links.indexOf(document.activeElement);
  if (place < 0 && !isSearch && document.activeElement !== document.body) return;
  const next = links[place < 0 ? 0 : place + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
});

/** Whether moving lines now would take one away from under somebody's finger. */
function isHeld() {
  return lines.matches(":hover") || lines.contains(document.activeElement);
}

function row(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html.trim();
  return holder.content.firstElementChild;
}

// what the server has told of this page of the table; it is shown when nobody holds the lines
let known = new Map(), order = [];

function learn() {
  const body = document.getElementById("rows");
  known = new Map([...(body?.children ?? [])].map((each) => [each.dataset.name, each]));
  order = [...known.keys()];
  form.hidden = document.getElementById("count").parentElement.hidden; // where there is nobody to look for
}

function settle() {
  const body = document.getElementById("rows");
  if (!body || isHeld()) return;
  const isSame = order.length === body.children.length
    && order.every((name, place) => body.children[place].dataset.name === name);
  if (!isSame && order.every((name) => known.has(name))) {
    body.replaceChildren(...order.map((name) => known.get(name)));
    known = new Map(order.map((name) => [name, known.get(name)]));
  }
}

function showLines(news) {
  const body = document.getElementById("rows");
  if (!body || !news.order.length) {
    if (body || news.order.length) ask(question(), "none");
    return;
  }
  document.getElementById("count").textContent = news.count;
  for (const [name, html] of Object.entries(news.rows)) {
    const fresh = row(html), old = known.get(name);
    known.set(name, fresh);
    dateAll(fresh);
    if (!old?.isConnected) continue;
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (hadFocus) fresh.querySelector("a").focus({ preventScroll: true });
  }
  order = news.order;
  settle();
}

lines.addEventListener("pointerleave", settle);
lines.addEventListener("focusout", () => setTimeout(settle));
learn();

const live = follow(`/live${location.search || "?"}&since=${form.dataset.since}`, {
  head(html) {
    const before = document.getElementById("headline")?.textContent;
    const focused = head.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    head.innerHTML = html;
    dateAll(head);
    if (focused) head.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    const now = document.getElementById("headline")?.textContent;
    if (now !== before) said.textContent = now;
  },
  lines: showLines,
  beat() {},
});
