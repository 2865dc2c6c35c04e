// The page of events: search as one types, and what happens from now on.

import { follow } from "./live.js";
import { dateAll } from "./page.js";

const TYPING_MS = 200;
const MOST = 300; // lines that stay
const form = document.getElementById("ask");
const list = document.getElementById("list");
const said = document.getElementById("said");
let asked = 0, timer = null;

function question() {
  const told = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...told]) if (!value) told.delete(name);
  return told;
}

function address() {
  const told = question();
  told.set("since", document.getElementById("rows").dataset.newest);
  return `/events/live?${told}`;
}

async function ask() {
  clearTimeout(timer);
  const mine = ++asked, told = question();
  const answer = await fetch(`/events/list?${told}`).catch(() => null);
  if (answer?.redirected) return location.reload();
  if (!answer?.ok || mine !== asked) return undefined;
  list.innerHTML = await answer.text();
  dateAll(list);
  history.replaceState(null, "", `/events${told.size ? "?" : ""}${told}`);
  live.turnTo();
  return undefined;
}

form.addEventListener("input", (event) => {
  clearTimeout(timer);
  timer = setTimeout(ask, event.target.tagName === "INPUT" ? TYPING_MS : 0);
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});

const isOld = () => new URLSearchParams(location.search).has("before");
const live = follow(address, {
  events(news) {
    const rows = document.getElementById("rows");
    if (isOld() || !rows) return;
    rows.parentElement.hidden = false;
    document.getElementById("none")?.remove();
    const holder = document.createElement("template");
    holder.innerHTML = news.html;
    for (const each of holder.content.children) each.classList.add("event-new");
    rows.dataset.newest = holder.content.firstElementChild.dataset.id;
    rows.prepend(holder.content);
    while (rows.children.length > MOST) rows.lastElementChild.remove();
    dateAll(rows);
    said.textContent = `${news.count} new event${news.count === 1 ? "" : "s"}`;
  },
});
