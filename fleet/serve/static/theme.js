// Puts the reader's choice of light or dark in force before anything is drawn.
(() => {
  try {
    const chosen = localStorage.getItem("vedette-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* no storage: as the system has it */ }
})();
