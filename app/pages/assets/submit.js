// Submitting with a bar that moves, and by dropping a file. Without this script the form works all the same.
"use strict";
(() => {
  let sending = false;

  const find = (id) => document.getElementById(id);

  function showSent(share, text) {
    find("sending").hidden = false;
    if (share === null) find("sent").removeAttribute("value");
    else find("sent").value = share;
    find("sent-text").textContent = text;
  }

  function show(html) {
    const page = new DOMParser().parseFromString(html, "text/html");
    const content = page.getElementById("content");
    if (!content) return false;
    find("content").replaceWith(document.adoptNode(content));
    attach();
    const faults = find("faults");
    if (faults) faults.focus();
    return true;
  }

  function failed(text) {
    sending = false;
    showSent(null, text);
  }

  function send(form, address) {
    if (sending) return;
    sending = true;
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      const percent = Math.floor((100 * event.loaded) / event.total);
      showSent(event.loaded / event.total, percent < 100 ? `${percent} %` : "all sent, waiting for the answer");
    };
    request.onload = () => {
      sending = false;
      if (request.status < 400) window.location.assign(request.responseURL);
      else if (!show(request.responseText)) failed(`The server answered ${request.status}; try again.`);
    };
    request.onerror = () => failed("The connection broke; nothing was queued. Try again.");
    request.send(new FormData(form));
    showSent(0, "");
  }

  function attach() {
    const form = find("submit");
    const file = find("checkpoint");
    const drop = find("drop");
    if (!form || !file || !drop) return;
    const count = find("count");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const button = event.submitter;
      send(form, (button && button.getAttribute("formaction")) || form.getAttribute("action"));
    });
    const chosen = () => {
      if (file.files.length && count) form.requestSubmit(count);
    };
    file.addEventListener("change", chosen);
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("over");
      });
    }
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      if (event.dataTransfer.files.length) {
        file.files = event.dataTransfer.files;
        chosen();
      }
    });
  }

  attach();
})();
