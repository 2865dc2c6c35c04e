// New content in the place of old, without taking anything away from under the reader.

import { dateAll } from "./page.js";

/** Put HTML of the server into an element. Who was at a link in it stays there, and what was open is open. */
export function put(place, html) {
  const at = place.contains(document.activeElement) ? document.activeElement : null;
  const [href, held] = [at?.getAttribute("href"), at?.closest("details[id]")?.id];
  const open = [...place.querySelectorAll("details[open][id]")].map((each) => each.id);
  place.innerHTML = html;
  dateAll(place);
  for (const each of place.querySelectorAll("details[id]")) each.open = open.includes(each.id);
  if (href) place.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
  else if (held) document.getElementById(held)?.querySelector("summary")?.focus({ preventScroll: true });
}
