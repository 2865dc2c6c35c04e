// Commands, uploads and rollouts: begun without leaving the page, and followed until they end.

import { dateAll } from "./page.js";
import { follow } from "./live.js";
import { answerOf, refusals } from "./refusing.js";

const LOOK_MS = 700;
const SILENT = { refused: "The server does not answer: try again." };
const csrf = document.querySelector('meta[name="csrf"]').content;
const HEADERS = { "x-csrf-token": csrf, "x-requested-by": "script" };

/** Show jobs below an element that knows where to ask for them, until all of them have ended. */
function followJobs(place) {
  const answers = place.querySelector("[data-answers]");
  const refused = refusals(place.querySelector("[data-refused]"));
  let timer = null;
  async function look() {
    clearTimeout(timer);
    try {
      const answer = await fetch(place.dataset.jobs, { headers: HEADERS });
      if (answer.status === 401) return refused.show(await answerOf(answer));
      if (answer.ok) {
        const open = [...answers.querySelectorAll("details[open]")].map((each) => each.closest("[data-job]")?.dataset.job);
        const html = await answer.text();
        if (answers.innerHTML !== html) answers.innerHTML = html;
        for (const each of open) answers.querySelector(`[data-job="${CSS.escape(each ?? "")}"] details`)?.setAttribute("open", "");
        dateAll(answers);
      }
    } catch { /* asked again */ }
    if (answers.querySelector("[data-open]")) timer = setTimeout(look, LOOK_MS);
    return undefined;
  }
  return {
    look,
    refused,
    /** What came of an act. Returns the words of a refusal. */
    add(came) {
      if (came.refused) return refused.show(came);
      answers.insertAdjacentHTML("afterbegin", came.html);
      dateAll(answers);
      clearTimeout(timer);
      timer = setTimeout(look, LOOK_MS);
      return "";
    },
  };
}

function beginCommands(place) {
  const jobs = followJobs(place);
  jobs.look();
  for (const form of place.querySelectorAll("form[data-acting]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (form.dataset.confirm && !confirm(form.dataset.confirm)) return;
      const button = form.querySelector("button");
      button.disabled = true;
      jobs.refused.clear();
      try {
        const answer = await fetch(form.action, { method: "POST", headers: HEADERS, body: new URLSearchParams(new FormData(form)) });
        jobs.add(await answerOf(answer));
      } catch {
        jobs.add(SILENT);
      } finally {
        button.disabled = false;
      }
    });
  }
}

function beginDrop(place) {
  const jobs = followJobs(place);
  const field = document.getElementById("bundle");
  const going = document.getElementById("going"), words = document.getElementById("going-words");
  const bar = document.getElementById("going-bar");
  const largest = Number(place.dataset.largest); // bytes
  let isGoing = false;

  /** Why a file need not be sent at all; null: it may be. */
  async function whyNot(file) {
    if (file.size > largest) {
      const [mib, most] = [file.size, largest].map((bytes) => Math.ceil(bytes / 2 ** 20));
      return `${file.name} is too large: it has ${mib} MiB, and a bundle ${most} MiB at most.`;
    }
    const start = await file.slice(0, 2).text().catch(() => "");
    return start === "PK" ? null : `${file.name} is no bundle: vedette fleet pack makes one.`;
  }

  async function send(file) {
    if (!file || isGoing) return;
    isGoing = true;
    jobs.refused.clear();
    const refused = await whyNot(file);
    if (refused) return end({ refused });
    going.hidden = false;
    bar.value = 0;
    words.textContent = `${file.name} is on its way`;
    const request = new XMLHttpRequest(); // it tells how much went
    request.open("POST", "/models/candidates");
    for (const [name, value] of Object.entries(HEADERS)) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.setRequestHeader("x-file-name", file.name.replace(/[^\x20-\x7e]/g, "_").slice(0, 100));
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
    };
    request.onloadend = async () => {
      const answer = request.status ? new Response(request.responseText, { status: request.status }) : null;
      end(answer ? await answerOf(answer) : SILENT, file.name);
    };
    request.send(file);
    return undefined;
  }

  function end(came, name) {
    isGoing = false;
    going.hidden = true;
    field.value = "";
    words.textContent = jobs.add(came) || `${name} has come`;
  }

  field.addEventListener("change", () => send(field.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    place.addEventListener(kind, (event) => {
      event.preventDefault();
      place.classList.add("drop-over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    place.addEventListener(kind, (event) => {
      event.preventDefault();
      if (kind === "drop" || !place.contains(event.relatedTarget)) place.classList.remove("drop-over");
    });
  }
  place.addEventListener("drop", (event) => send(event.dataTransfer.files[0]));
  if (place.querySelector("[data-open]")) jobs.look();
  document.addEventListener("piece", (event) => event.detail === "released" && jobs.look()); // one may be signed by now
}

function beginRollout(place) {
  const said = document.getElementById("said");
  follow(place.dataset.live, {
    rollout(html) {
      const focused = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      place.innerHTML = html;
      dateAll(place);
      if (focused) place.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
      const counts = place.querySelector(".rule-counts")?.textContent.replace(/\s+/g, " ").trim() ?? "";
      if (said.textContent !== counts) said.textContent = counts;
    },
  });
}

const commands = document.getElementById("acting"), drop = document.getElementById("drop");
const rollout = document.getElementById("rollout");
if (commands) beginCommands(commands);
if (drop) beginDrop(drop);
if (rollout) beginRollout(rollout);
