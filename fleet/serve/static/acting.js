// Commands, uploads and rollouts: begun without leaving the page, and followed until they end.

import { dateAll } from "./page.js";
import { follow } from "./live.js";

const LOOK_MS = 700;
const csrf = document.querySelector('meta[name="csrf"]').content;
const HEADERS = { "x-csrf-token": csrf, "x-requested-by": "script" };

/** What the server says, as HTML for the list of jobs; of a refusal its sentence. */
async function answerOf(answer) {
  const text = await answer.text();
  if (answer.ok) return text;
  const page = new DOMParser().parseFromString(text, "text/html");
  const words = page.querySelector("main")?.textContent.trim() || `The server refuses it (${answer.status}).`;
  const job = document.createElement("p");
  job.className = "job said said-bad";
  job.textContent = words.replace(/\s+/g, " ");
  return job.outerHTML;
}

/** Show jobs below an element that knows where to ask for them, until all of them have ended. */
function followJobs(place) {
  const answers = place.querySelector("[data-answers]");
  let timer = null;
  async function look() {
    clearTimeout(timer);
    try {
      const answer = await fetch(place.dataset.jobs, { headers: HEADERS });
      if (answer.redirected) return location.reload();
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
    add(html) {
      answers.insertAdjacentHTML("afterbegin", html);
      dateAll(answers);
      clearTimeout(timer);
      timer = setTimeout(look, LOOK_MS);
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
      try {
        const answer = await fetch(form.action, { method: "POST", headers: HEADERS, body: new URLSearchParams(new FormData(form)) });
        jobs.add(await answerOf(answer));
      } catch {
        jobs.add('<p class="job said said-bad">The server does not answer: try again.</p>');
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
  let isGoing = false;

  function send(file) {
    if (!file || isGoing) return;
    isGoing = true;
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
      isGoing = false;
      going.hidden = true;
      field.value = "";
      if (!request.status) return jobs.add('<p class="job said said-bad">The server does not answer: try again.</p>');
      return jobs.add(await answerOf(new Response(request.responseText, { status: request.status })));
    };
    request.send(file);
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
