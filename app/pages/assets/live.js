// A page that looks again says so when nobody answers, and takes it back by itself. Without this script it only looks.
"use strict";
(() => {
  let answered = new Date();

  function show(lost) {
    const note = document.getElementById("no-answer");
    if (!note || note.hidden === !lost) return;
    document.getElementById("last-answer").textContent = answered.toTimeString().slice(0, 8);
    note.hidden = !lost;
  }

  for (const name of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(name, () => show(true));
  document.addEventListener("htmx:afterOnLoad", (event) => {
    const lost = event.detail.xhr.status >= 400; // too many requests, say: nothing of the answer is shown
    if (!lost) answered = new Date();
    show(lost);
  });

  // Who reads the end of the log goes on reading its end.
  let atEnd = true;
  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    const log = event.detail.target;
    if (log.id === "log") atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
  });
  document.addEventListener("htmx:oobAfterSwap", (event) => {
    const log = event.detail.target;
    if (log.id === "log" && atEnd) log.scrollTop = log.scrollHeight;
  });
})();
