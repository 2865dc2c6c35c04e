// A page in pieces: what the server tells anew takes the place of what was there.

import { follow } from "./live.js";
import { put } from "./put.js";

const page = document.getElementById("pieces");
const said = document.getElementById("said");
const sentences = new Map(); // what was last said of each piece
const waiting = new Map(); // what comes when nobody marks words in it any more

/** Whether somebody has marked words in an element, to copy them. */
function isMarked(place) {
  const marked = getSelection();
  return !marked.isCollapsed && marked.rangeCount > 0 && marked.getRangeAt(0).intersectsNode(place);
}

document.addEventListener("selectionchange", () => {
  for (const [place, html] of waiting) {
    if (isMarked(place)) continue;
    waiting.delete(place);
    put(place, html);
  }
});

follow(page.dataset.live, {
  piece(news) {
    const place = document.getElementById(news.id);
    if (!place) return;
    if (isMarked(place)) waiting.set(place, news.html);
    else {
      waiting.delete(place);
      put(place, news.html);
    }
    document.dispatchEvent(new CustomEvent("piece", { detail: news.id }));
    const before = sentences.get(news.id);
    sentences.set(news.id, news.said);
    if (before !== undefined && news.said && news.said !== before) said.textContent = news.said;
  },
});
