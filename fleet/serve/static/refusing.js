// What was asked for and refused: said in one sentence, which stays until the next act or until it is dismissed.

/** What was answered: HTML for the list of jobs, or why not. isSignedOut: the session has ended. */
export async function answerOf(answer) {
  const text = await answer.text();
  if (answer.ok && !answer.redirected) return { html: text };
  return { refused: sentence(wordsOf(text, answer.status)), isSignedOut: answer.redirected || answer.status === 401 };
}

function wordsOf(text, status) {
  try {
    const { error } = JSON.parse(text);
    if (error) return String(error);
  } catch { /* it is of a proxy in between, not of us */ }
  return status === 413 ? "something between here and the server finds this too large" : `the server refuses it (${status})`;
}

function sentence(words) {
  const whole = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Say what was refused in an element that is an alert. */
export function refusals(place) {
  function clear() {
    place.replaceChildren();
  }
  return {
    clear,
    /** Returns the words. */
    show({ refused, isSignedOut = false }) {
      const line = document.createElement("p"), words = document.createElement("span");
      line.className = "said said-bad refusal";
      words.textContent = isSignedOut ? "Signed out: " : refused;
      if (isSignedOut) {
        const door = document.createElement("a");
        door.href = `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
        door.textContent = "sign in again";
        words.append(door, ".");
      }
      const away = document.createElement("button");
      away.type = "button";
      away.className = "button";
      away.textContent = "Dismiss";
      away.addEventListener("click", clear);
      line.append(words, away);
      place.replaceChildren(line);
      return words.textContent;
    },
  };
}
