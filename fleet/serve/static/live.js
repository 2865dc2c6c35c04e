// Listens to what is new, and says plainly when nothing comes.

const LATE_MS = 12_000;
const AGAIN_MS = [1000, 2000, 4000, 8000, 15_000];

/**
 * Follow an address of server-sent events, or what a function gives as such. handlers: what to do with each kind of event, given its
 * content; a page that has one for `beat` says in its own words why it stands still. Returns an object to follow another address with.
 */
export function follow(address, handlers) {
  const sign = document.getElementById("live");
  let source = null, heardMs = performance.now(), tries = 0, timer = null, where = address;
  let begunMs = 0;

  function show(state, words) {
    if (sign.dataset.state === state && state !== "late") return;
    sign.dataset.state = state;
    sign.querySelector("[data-words]").textContent = words;
  }

  function heard() {
    heardMs = performance.now();
    tries = 0;
    show("live", "live");
  }

  /** Parts of the server that do not work, and why a page stands still, above it. */
  function showIll(ill) {
    const place = document.getElementById("ill");
    const told = ill.join("\n");
    if (place.dataset.told === told) return;
    if (place.dataset.told === undefined && !ill.length && place.hidden) return;
    place.dataset.told = told;
    place.hidden = !ill.length;
    place.replaceChildren(...ill.map((words) => {
      const line = document.createElement("p");
      line.textContent = words;
      return line;
    }));
  }

  function begin() {
    clearTimeout(timer);
    begunMs = performance.now();
    source?.close();
    source = new EventSource(typeof where === "function" ? where() : where);
    for (const [kind, handle] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => {
        heard();
        const content = JSON.parse(event.data);
        handle(content);
      });
    }
    source.addEventListener("beat", (event) => {
      heard();
      const { ill = [], trouble } = JSON.parse(event.data);
      showIll(trouble && !handlers.beat ? [`This page stands still: ${trouble}`, ...ill] : ill);
    });
    source.onerror = () => {
      source.close();
      timer = setTimeout(begin, AGAIN_MS[Math.min(tries++, AGAIN_MS.length - 1)]);
      if (tries === 2) lookAtDoor();
    };
  }

  /** Who is signed out by now is asked to sign in: nothing will come any more. */
  async function lookAtDoor() {
    const answer = await fetch("/account", { redirect: "manual" }).catch(() => null);
    if (answer?.type === "opaqueredirect") location.reload();
  }

  setInterval(() => {
    const silentMs = performance.now() - heardMs;
    if (silentMs <= LATE_MS) return;
    show("late", `no news for ${Math.round(silentMs / 1000)} s: reconnecting`);
    // a connection may be dead without a word
    if (performance.now() - begunMs > LATE_MS) begin();
  }, 1000);
  // a phone that slept wakes up with a dead connection
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && performance.now() - heardMs > LATE_MS / 2) begin();
  });
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && begin());
  begin();
  return {
    turnTo(next = where) {
      where = next;
      begin();
    },
  };
}
